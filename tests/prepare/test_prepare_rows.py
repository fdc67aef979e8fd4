"""Single values: times, ids, labels, histories, cuts, pages, vocabularies."""

from __future__ import annotations

import random
from collections import defaultdict

import pytest

from tfrec_vis.errors import InputError
from tfrec_vis.prepare import PrepareSettings
from tfrec_vis.prepare.cuts import find_cuts
from tfrec_vis.prepare.history import ClickHistory
from tfrec_vis.prepare.pages import page_records
from tfrec_vis.prepare.validate import Reject, Row, clicked, interaction
from tfrec_vis.prepare.write import vocabulary_line

NOON = 1_577_880_000  # 2020-01-01 12:00 UTC


def test_labels():
    assert [clicked(value) for value in ("0", 0, False, "False", "false", " 0.0 ")] == [0] * 6
    assert [clicked(value) for value in ("1", 1, True, "True", "TRUE", 1.0, "1.0")] == [1] * 7


@pytest.mark.parametrize("value", ["", None, "2", "0.5", "-1", "nan", "yes", "t", "rating x"])
def test_bad_labels(value):
    with pytest.raises(Reject, match="bad_clicked"):
        clicked(value)


def test_ids_stay_text_and_pages_get_names():
    values = {"user_id": "007", "item_id": "0108775015", "timestamp": "60", "clicked": "0"}
    assert interaction(values, "seconds", True, ()) == (
        "007",
        Row(60, "007@60", "0108775015", 0, ()),
    )
    _, row = interaction(values | {"page_id": "s1", "a": None}, "seconds", False, ("a",))
    assert row == Row(60, "s1", "0108775015", 1, ("",))


def test_history_against_loops():
    rng = random.Random(0)
    for _ in range(200):
        rows = [
            Row(rng.randrange(9), "p", str(rng.randrange(6)), rng.randrange(2)) for _ in range(15)
        ]
        moment, limit = rng.randrange(11), rng.randrange(1, 5)
        exclude = {str(rng.randrange(6))}
        latest = {}
        for row in rows:
            if row.clicked and row.timestamp < moment and row.item_id not in exclude:
                latest[row.item_id] = max(row.timestamp, latest.get(row.item_id, -1))
        expected = sorted(latest, key=lambda item: (-latest[item], item))[:limit]
        assert ClickHistory(rows).before(moment, exclude, limit) == expected


def test_cuts_move_on_to_the_next_timestamp():
    assert find_cuts([(n, 1) for n in range(10)], (0.6, 0.7, 0.8)) == (6, 7, 8)
    # 0.7 * 10 is a little more than 7 in floating point.
    assert find_cuts([(5, 6), (3, 1), (9, 2), (7, 1)], (0.1, 0.2, 0.7)) == (5, 7, 7)
    assert find_cuts([(5, 10)], (0.5, 0.6, 0.7)) == (6, 6, 6)
    assert find_cuts([], (0.5, 0.6, 0.7)) == ()


def test_place_on_the_page_does_not_tell_the_label():
    places = defaultdict(list)
    for page in range(1500):
        rows = [Row(1, f"p{page}", f"i{n}", int(n < 2)) for n in range(12)]
        (record,) = page_records("u", rows, ClickHistory([]), seed=0, max_shown=5, page_history=5)
        for place, label in enumerate(record.clicked):
            places[label].append(place)
    assert len(places[1]) == 3000 and len(places[0]) == 4500
    means = [sum(places[label]) / len(places[label]) for label in (0, 1)]
    assert abs(means[0] - means[1]) < 0.15


def test_seed_decides_pages():
    rows = [Row(1, "p", f"i{n}", 0) for n in range(12)]
    shown = {
        tuple(next(page_records("u", rows, ClickHistory([]), seed=s, max_shown=5, page_history=5))
              .shown) for s in (0, 0, 1)
    }  # fmt: skip
    assert len(shown) == 2


def test_vocabulary_has_one_value_a_line():
    words = ["b", "a\nb", "a\\nb", "ü"]
    assert [vocabulary_line(word) for word in words] == ["b\n", "a\\nb\n", "a\\\\nb\n", "ü\n"]


@pytest.mark.parametrize(
    "change",
    [
        {"splits": (0.6, 0.7)},
        {"splits": (0.6, 0.8, 0.8)},
        {"splits": (0.0, 0.7, 0.8)},
        {"image_size": 0},
        {"shards": 0},
        {"max_rejected": 1.5},
        {"max_shown": 0},
    ],
)
def test_settings_out_of_range(change):
    with pytest.raises(InputError, match=f"prepare.{next(iter(change))}: "):
        PrepareSettings(**change)
