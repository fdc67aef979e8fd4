"""Dirty logs of any kind: the counts add up, nothing leaks, order and shards do not matter."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, reject, settings
from hypothesis import strategies as st
from prepare_cases import DAY, MemorySource, catalogue, raw_records, read
from test_prepare_leaks import STEMS, Truth

from tfrec_vis.errors import InputError
from tfrec_vis.prepare import PrepareSettings, prepare
from tfrec_vis.sources.source import RawRow

ITEMS = 6
FAULTS = {
    "missing_user_id": [{"user_id": ""}, {"user_id": None}, {"user_id": "\t"}],
    "missing_item_id": [{"item_id": ""}, {"item_id": " "}],
    "bad_timestamp": [{"timestamp": t} for t in ("", "soon", "-1", "4102444800", "1e999", "nan")],
    "bad_clicked": [{"clicked": c} for c in ("", "2", "-1", "nan", "maybe")],
    "not_utf8": [{"device": "\ud800"}],
    "unknown_item": [{"item_id": "9999"}, {"item_id": "1"}],
    "item_rejected": [{"item_id": "no-image"}],
}
GOOD = st.fixed_dictionaries(
    {
        "user_id": st.sampled_from(["u0", "u1", "ü 2"]),
        "item_id": st.integers(0, ITEMS - 1).map("{:04d}".format),
        "timestamp": st.integers(0, 40).map(lambda step: str(step * DAY // 4)),
        "clicked": st.sampled_from(["0", "1", "1", "True", "false"]),
        "page_id": st.sampled_from(["", "", "p", "q"]),
        "device": st.sampled_from(["phone", "two\nlines", ""]),
    }
)
BROKEN = [(reason, change) for reason, changes in FAULTS.items() for change in changes]
ROWS = st.lists(GOOD, min_size=20, max_size=60)
# How often each fault occurs.
TIMES = st.lists(st.integers(0, 2), min_size=len(BROKEN), max_size=len(BROKEN))
TRUTH = {"True": "1", "false": "0"}


def run(folder: Path, log: list, labels: bool, shards: int) -> dict:
    items = [*catalogue(ITEMS), {"item_id": "no-image", "image": ""}]
    chosen = PrepareSettings(
        shards=shards, image_size=16, max_history=3, negatives=2, max_rejected=1.0
    )
    return prepare(MemorySource(log, items, labels), folder, chosen)


def with_examples(number: int):
    """A property of dirty logs, tried on this many of them."""

    def decorate(test):
        given_logs = given(rows=ROWS, times=TIMES, seed=st.integers(0, 99))
        chosen = settings(
            max_examples=number,
            deadline=None,
            derandomize=True,
            phases=(Phase.generate,),  # to make a failing log smaller would take minutes
            suppress_health_check=list(HealthCheck),
        )
        names = pytest.mark.parametrize("labels", [True, False], ids=["labelled", "clicks only"])
        return names(chosen(given_logs(test)))

    return decorate


@with_examples(3)  # each takes two preparations
def test_dirty_logs(labels: bool, rows: list, times: list, seed: int) -> None:
    check_dirty_log(labels, rows, times, seed)


@pytest.mark.slow
@with_examples(40)
def test_many_dirty_logs(labels: bool, rows: list, times: list, seed: int) -> None:
    check_dirty_log(labels, rows, times, seed)


def check_dirty_log(labels: bool, rows: list, times: list, seed: int) -> None:
    # Some clicks at all times, so that no split is empty.
    steady = [
        {"user_id": "steady", "item_id": "0000", "timestamp": str(day * DAY), "clicked": "1",
         "page_id": "", "device": ""}
        for day in range(14)
    ]  # fmt: skip
    good = steady + rows
    bad = [
        (reason, rows[(number + turn) % len(rows)] | change)
        for number, (reason, change) in enumerate(BROKEN)
        for turn in range(times[number])
    ]
    if not labels:  # without labels the column is not looked at
        good += [row for reason, row in bad if reason == "bad_clicked"]
        bad = [(reason, row) for reason, row in bad if reason != "bad_clicked"]
    bad.append(("ragged_row", RawRow("x.csv:1", {"excerpt": "a"}, "ragged_row")))
    log = good + [row for _, row in bad]
    random.Random(seed).shuffle(log)
    as_numbers = [row | {"clicked": TRUTH.get(row["clicked"], row["clicked"])} for row in good]
    truth = Truth(as_numbers, labels)
    with tempfile.TemporaryDirectory() as temporary:
        first, second = Path(temporary, "1"), Path(temporary, "7")
        try:
            manifest = run(first, log, labels, shards=1)
        except InputError as error:
            assert "the log has no clicks in its" in str(error)
            reject()
        check_counts(manifest, truth, len(log), good, Counter(reason for reason, _ in bad))
        check_impressions(first, truth, labels)
        random.Random(seed + 1).shuffle(log)
        run(second, log, labels, shards=7)
        for stem in ("items", "pages-pretrain", *STEMS):
            assert raw_records(first, stem) == raw_records(second, stem)


def check_counts(manifest, truth, read_rows, good, reasons) -> None:
    fate = manifest["interactions"]
    assert fate["read"] == read_rows
    assert fate["kept"] == len(truth.rows)
    assert fate["merged"] == len(good) - len(truth.rows)
    assert fate["rejected"] == dict(sorted(reasons.items()))
    assert fate["read"] == fate["kept"] + fate["merged"] + sum(fate["rejected"].values())
    moments = [int(row["timestamp"]) for row in good]
    assert manifest["period"] == [min(moments), max(moments)]
    assert manifest["cuts"] == truth.cuts


def check_impressions(folder: Path, truth: Truth, labels: bool) -> None:
    found: Counter = Counter()
    for stem in STEMS:
        for record in read(folder, stem):
            user, page = record["user_id"].decode(), record["page_id"].decode()
            item, moment = f"{record['item_index'] - 1:04d}", record["timestamp"]
            if labels or record["clicked"]:
                found[user, item, moment, page] += 1
                assert record["clicked"] == truth.rows[user, item, moment, page]
            assert stem == truth.split(moment)
            assert record["in_pretraining"] == (moment < truth.cuts[0])
            history = truth.history(user, moment, {item}, 3)
            assert record["history"] == [int(other) + 1 for other in history]
    assert found == Counter(dict.fromkeys(truth.rows, 1))
