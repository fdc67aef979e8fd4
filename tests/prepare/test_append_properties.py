"""Any dirty log cut at a time: adding the rest to the first part gives what all at once gives."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import pytest
from dirty_logs import (
    COMMON,
    ITEMS,
    PICTURE,
    SETTINGS,
    TIMES,
    dirty_logs,
    raw_items,
    raw_log,
    with_and_without_labels,
)
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from prepare_cases import MemorySource, by_item_id
from prepare_truth import Truth

from tfrec_vis.prepare import PrepareSettings, prepare
from tfrec_vis.sources.source import RawRow

moments = st.sampled_from(TIMES[12:30])


def halves(drawn, labels, moment):
    """((log, items), (log, items)): rows before the moment with their items, and the rest.

    A copy may come later than its row, and so may items of which no row came before.
    """
    logs, known = ([], []), set()
    for position, row in enumerate(raw_log(drawn, labels)):
        time = row.values.get("timestamp", "")
        is_copy = len(drawn["rows"]) <= position < len(drawn["rows"]) + len(drawn["copies"])
        late = time.isdigit() and int(time) >= moment or is_copy and position % 2
        logs[bool(late)].append(row)
        if not late:
            known.add(row.values.get("item_id"))
    items = ([], [RawRow("items.csv:99", {"item_id": "new", "image": PICTURE})])
    for row in raw_items(drawn):
        late = row.values.get("item_id") in set(ITEMS[::2]) - known
        items[late].append(row)
    return [(logs[part], items[part]) for part in (0, 1)]


def pooled(fate):
    """What was rejected before is not known later: its new rows count as of an unknown item."""
    rejected = Counter(fate["rejected"])
    rejected["unknown_item"] += rejected.pop("item_rejected", 0)
    return {**fate, "rejected": +rejected}


def check(drawn, labels, moment, passes):
    first, rest = halves(drawn, labels, moment)
    good = [row for row in drawn["rows"] if int(row["timestamp"]) < moment]
    assume(not labels or any(row["clicked"] == "1" for row in good))
    assume(good and len(Truth(good, labels).splits_with_clicks()) == 4)
    assume(len(good) < len(drawn["rows"]))
    own = PrepareSettings(**SETTINGS, seed=drawn["seed"], shards=7, passes=passes)
    with tempfile.TemporaryDirectory() as name:
        base, added, whole = (Path(name, part) for part in ("base", "added", "whole"))
        before = prepare(MemorySource(*first, labels), base, own)
        grown = prepare(MemorySource(*rest, labels), added, own, append_to=base)
        both = [old + new for old, new in zip(first, rest, strict=True)]
        at_once = prepare(MemorySource(*both, labels), whole, own, cuts=before["cuts"])
        found, items, numbers = by_item_id(added)
        expected, expected_items, _ = by_item_id(whole)
        assert found == expected and items == expected_items
        assert by_item_id(base)[2].items() <= numbers.items()
        assert sorted(numbers.values()) == list(range(1, len(numbers) + 1))
        for key in ("cuts", "splits", "negatives", "item_count", "period"):
            assert grown[key] == at_once[key]
        assert grown["items"] == at_once["items"]
        assert pooled(grown["interactions"]) == pooled(at_once["interactions"])
        assert grown["cuts"] == before["cuts"]
        fate = grown["interactions"]
        assert fate["read"] == len(raw_log(drawn, labels))
        assert fate["read"] == fate["kept"] + fate["merged"] + sum(fate["rejected"].values())
        for path in added.glob("vocabulary/*"):
            assert path.read_bytes() == (whole / path.relative_to(added)).read_bytes()


@settings(max_examples=1, **COMMON)
@given(drawn=dirty_logs, moment=moments)
def test_any_log_in_two_halves(drawn, moment):
    check(drawn, False, moment, passes=1)


@pytest.mark.slow
@with_and_without_labels
@settings(max_examples=30, **COMMON)
@given(drawn=dirty_logs, moment=moments, passes=st.sampled_from([1, 1, 2]))
def test_many_logs_in_two_halves(labels, drawn, moment, passes):
    check(drawn, labels, moment, passes)
