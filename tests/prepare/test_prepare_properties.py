"""What holds for any dirty log: counts add up, nothing leaks, order and shards do not matter."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from prepare_cases import DAY, MemorySource, photo, raw_records, rejects
from prepare_truth import STEMS, Truth, check_impressions, check_pages, check_sampled_items

from tfrec_vis.prepare import PrepareSettings, prepare
from tfrec_vis.sources.source import RawRow

SETTINGS = {
    "max_history": 4,
    "page_history": 2,
    "max_shown": 2,
    "negatives": 2,
    "negatives_window_days": 1,
    "max_rejected": 1.0,
}
ITEMS = [f"{n:02d}" for n in range(8)]
PICTURE = photo(size=(8, 8))
USERS = ["u1", "u2", "Ü 3", "007"]
TIMES = [n * DAY // 6 for n in range(36)]

DAMAGE = {
    "missing_user_id": {"user_id": ""},
    "missing_item_id": {"item_id": " "},
    "bad_timestamp": {"timestamp": "soon"},
    "bad_clicked": {"clicked": "7"},
    "unknown_item": {"item_id": "nowhere"},
    "item_rejected": {"item_id": "broken"},
    "ragged_row": None,
}
BAD_ITEMS = {
    "missing_item_id": {"item_id": "", "image": PICTURE},
    "image_not_decodable": {"item_id": "broken", "image": b"<html>"},
    "duplicate_item_id": {"item_id": "00", "image": PICTURE, "title": "z"},
    "not_json": None,
}

good_rows = st.fixed_dictionaries(
    {
        "user_id": st.sampled_from(USERS),
        "item_id": st.sampled_from(ITEMS),
        "timestamp": st.sampled_from(TIMES).map(str),
        "page_id": st.sampled_from(["", "p1", "p2"]),
        "device": st.sampled_from(["phone", "", "a\nb"]),
        "clicked": st.sampled_from(["0", "1", "1"]),
    }
)
dirty_logs = st.fixed_dictionaries(
    {
        "rows": st.lists(good_rows, min_size=20, max_size=60),
        "copies": st.lists(st.integers(0, 10**6), max_size=10),
        "damage": st.lists(st.tuples(st.sampled_from(sorted(DAMAGE)), good_rows), max_size=10),
        "items": st.lists(st.sampled_from(sorted(BAD_ITEMS)), max_size=4, unique=True),
        "item_copies": st.integers(0, 3),
        "seed": st.integers(0, 3),
    }
)


def prepared(drawn, labels, rng, folder, shards):
    """Prepares the rows in the order that ``rng`` gives, each under its own line."""
    log = drawn["rows"] + [drawn["rows"][n % len(drawn["rows"])] for n in drawn["copies"]]
    log += [
        RawRow("", {"excerpt": "a,b"}, "ragged_row")
        if DAMAGE[reason] is None
        else row | DAMAGE[reason]
        for reason, row in damage(drawn, labels)
    ]
    items = [{"item_id": item, "image": PICTURE, "title": "a", "brand": "b"} for item in ITEMS]
    items += items[: drawn["item_copies"]]
    items += [
        BAD_ITEMS[reason] or RawRow("", {"excerpt": "{"}, "not_json") for reason in drawn["items"]
    ]
    log, items = placed("log.csv", log), placed("items.csv", items)
    rng.shuffle(log)
    rng.shuffle(items)
    source = MemorySource(log, items, labels)
    return prepare(source, folder, PrepareSettings(**SETTINGS, shards=shards, seed=drawn["seed"]))


def placed(file, rows):
    return [
        RawRow(f"{file}:{line}", row.values, row.problem)
        if isinstance(row, RawRow)
        else RawRow(f"{file}:{line}", row)
        for line, row in enumerate(rows, start=2)
    ]


def damage(drawn, labels):
    """Without labels a wrong one is not looked at, so there is no such damage."""
    return [d for d in drawn["damage"] if labels or d[0] != "bad_clicked"]


def check(drawn, labels):
    truth = Truth(drawn["rows"], labels) if clicks_in(drawn, labels) else None
    assume(truth is not None and len(truth.splits_with_clicks()) == 4)
    with tempfile.TemporaryDirectory() as name:
        one, seven = Path(name, "one"), Path(name, "seven")
        manifest = prepared(drawn, labels, random.Random(1), one, shards=1)
        check_counts(drawn, labels, truth, manifest, one)
        assert manifest["cuts"] == truth.cuts
        check_impressions(truth, one, PrepareSettings(**SETTINGS))
        check_pages(truth, one, PrepareSettings(**SETTINGS))
        check_sampled_items(truth, one, manifest, PrepareSettings(**SETTINGS))

        other = prepared(drawn, labels, random.Random(2), seven, shards=7)
        for stem in ("items", "pages-pretrain", *STEMS):
            assert raw_records(one, stem) == raw_records(seven, stem)
        for name in ("interactions", "items", "cuts", "splits", "negatives"):
            assert manifest[name] == other[name]
        for kind in ("interactions", "items"):
            reasons = [Counter(r["reason"] for r in rejects(f, kind)) for f in (one, seven)]
            assert reasons[0] == reasons[1] == manifest[kind]["rejected"]
        for path in [*one.glob("vocabulary/*"), *one.glob("schema/*")]:
            assert path.read_bytes() == (seven / path.relative_to(one)).read_bytes()


def clicks_in(drawn, labels):
    return not labels or any(row["clicked"] == "1" for row in drawn["rows"])


def check_counts(drawn, labels, truth, manifest, folder):
    broken_is_known = "image_not_decodable" in drawn["items"]
    expected = Counter(
        "unknown_item" if reason == "item_rejected" and not broken_is_known else reason
        for reason, _ in damage(drawn, labels)
    )
    good = len(drawn["rows"]) + len(drawn["copies"])
    fate = manifest["interactions"]
    assert fate["rejected"] == expected
    assert fate["kept"] == len(truth.rows)
    assert fate["merged"] == good - len(truth.rows)
    assert fate["read"] == fate["kept"] + fate["merged"] + sum(fate["rejected"].values())
    assert fate["read"] == good + len(damage(drawn, labels))

    fate = manifest["items"]
    assert fate["rejected"] == Counter(drawn["items"])
    assert fate["kept"] == len(ITEMS) and fate["merged"] == drawn["item_copies"]
    assert fate["read"] == len(ITEMS) + drawn["item_copies"] + len(drawn["items"])


COMMON = {
    "deadline": None,
    "derandomize": True,
    "database": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.filter_too_much],
    # Shrinking would prepare hundreds of logs; the one that fails is small enough.
    "phases": [Phase.explicit, Phase.generate],
}


with_and_without_labels = pytest.mark.parametrize("labels", [True, False])


@with_and_without_labels
@settings(max_examples=3, **COMMON)
@given(drawn=dirty_logs)
def test_any_dirty_log(labels, drawn):
    check(drawn, labels)


@pytest.mark.slow
@with_and_without_labels
@settings(max_examples=60, **COMMON)
@given(drawn=dirty_logs)
def test_many_dirty_logs(labels, drawn):
    check(drawn, labels)
