"""Generated dirty logs: good rows, copies, and damage of every kind, in rows and in items."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import HealthCheck, Phase, assume
from hypothesis import strategies as st
from prepare_cases import DAY, MemorySource, photo
from prepare_truth import Truth

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
    "image_missing": {"item_id": "lost", "image": ""},
    "image_outside_root": {"item_id": "outside", "image": "/etc/hostname"},
    "image_empty": {"item_id": "hollow", "image": b""},
    "duplicate_item_id": {"item_id": "00", "image": PICTURE, "title": "z"},
    "not_json": None,
}

COMMON = {
    "deadline": None,
    "derandomize": True,
    "database": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.filter_too_much],
    # Shrinking would prepare hundreds of logs; the one that fails is small enough.
    "phases": [Phase.explicit, Phase.generate],
}


with_and_without_labels = pytest.mark.parametrize("labels", [True, False])

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


def big_log(seed, rows=300):
    """One of them with damage of every kind, for what is too slow to be tried on many."""
    rng = random.Random(seed)

    def row():
        return {
            "user_id": rng.choice(USERS),
            "item_id": rng.choice(ITEMS),
            "timestamp": str(rng.choice(TIMES)),
            "page_id": rng.choice(["", "p1", "p2"]),
            "device": rng.choice(["phone", "", "a\nb"]),
            "clicked": rng.choice("011"),
        }

    return {
        "rows": [row() for _ in range(rows)],
        "copies": [rng.randrange(rows) for _ in range(rows // 10)],
        "damage": [(reason, row()) for reason in sorted(DAMAGE) * 3],
        "items": sorted(BAD_ITEMS),
        "item_copies": 3,
        "seed": seed,
    }


def damage(drawn, labels):
    """Without labels a wrong one is not looked at, so there is no such damage."""
    return [d for d in drawn["damage"] if labels or d[0] != "bad_clicked"]


def raw_log(drawn, labels):
    """All rows, each under its own line."""
    log = drawn["rows"] + [drawn["rows"][n % len(drawn["rows"])] for n in drawn["copies"]]
    log += [
        RawRow("", {"excerpt": "a,b"}, "ragged_row")
        if DAMAGE[reason] is None
        else row | DAMAGE[reason]
        for reason, row in damage(drawn, labels)
    ]
    return placed("log.csv", log)


def raw_items(drawn):
    """The whole catalogue, each row under its own line."""
    items = [{"item_id": item, "image": PICTURE, "title": "a", "brand": "b"} for item in ITEMS]
    items += items[: drawn["item_copies"]]
    items += [
        BAD_ITEMS[reason] or RawRow("", {"excerpt": "{"}, "not_json") for reason in drawn["items"]
    ]
    return placed("items.csv", items)


def placed(file, rows):
    return [
        RawRow(f"{file}:{line}", row.values, row.problem)
        if isinstance(row, RawRow)
        else RawRow(f"{file}:{line}", row)
        for line, row in enumerate(rows, start=2)
    ]


def prepared(drawn, labels, folder, order=0, flags=(), **settings):
    """Prepares the rows in the order that the seed ``order`` gives."""
    log, items = raw_log(drawn, labels), raw_items(drawn)
    rng = random.Random(order)
    rng.shuffle(log)
    rng.shuffle(items)
    settings = PrepareSettings(**SETTINGS, seed=drawn["seed"], **settings)
    return prepare(MemorySource(log, items, labels), folder, settings, flags)


def truth_of(drawn, labels):
    """Leaves out logs that ``prepare`` refuses: those with a part that has no click."""
    clicks = not labels or any(row["clicked"] == "1" for row in drawn["rows"])
    truth = Truth(drawn["rows"], labels) if clicks else None
    assume(truth is not None and len(truth.splits_with_clicks()) == 4)
    return truth


def check_counts(drawn, labels, truth, manifest):
    """What was read, kept, merged and rejected for which reason, against what was drawn."""
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
