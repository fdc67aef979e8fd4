"""First purchases against plain loops over the prepared clicks."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tfrec_vis.data import Impressions
from tfrec_vis.errors import InputError
from tfrec_vis.evaluation import purchase_rows
from tfrec_vis.evaluation.rows import Rows

DAY, WINDOW, NEGATIVES = 86_400, 2, 3


@pytest.fixture(scope="module")
def rows(prepared_shop: Path) -> Rows:
    """Days in place of seconds, as purchases are dated; many on one day."""
    rows = Rows.read(prepared_shop, history=4, min_count=1)
    split = {
        name: replace(part, timestamp=part.timestamp // DAY * DAY)
        for name, part in rows.split.items()
    }
    return replace(rows, split=split)


@pytest.fixture(scope="module")
def first(rows: Rows) -> dict[tuple[str, int], int]:
    """The day of each user's first purchase of each item."""
    found: dict[tuple[str, int], int] = {}
    for part in rows.split.values():
        for user, item, time, clicked in zip(
            part.user_id, part.item_index, part.timestamp, part.clicked, strict=True
        ):
            if clicked:
                found[user, item] = min(found.get((user, item), time), time)
    return found


@pytest.fixture(scope="module")
def parts(rows: Rows) -> dict[str, Impressions]:
    return purchase_rows(rows, negatives=NEGATIVES, window_days=WINDOW)


def test_purchases_are_first_ones_after_the_first_day_and_the_last_fifth_is_the_test(
    parts: dict[str, Impressions], first: dict[tuple[str, int], int]
) -> None:
    begun = {user: min(t for (u, _), t in first.items() if u == user) for user, _ in first}
    expected = {(u, i, t) for (u, i), t in first.items() if t > begun[u]}
    found = [
        (user, item, time)
        for part in parts.values()
        for user, item, time, clicked in zip(
            part.user_id, part.item_index, part.timestamp, part.clicked, strict=True
        )
        if clicked
    ]
    assert len(found) == len(set(found)) and set(found) == expected
    times = sorted(time for _, _, time in expected)
    border = times[math.ceil(0.8 * len(times)) - 1]
    assert parts["train"].timestamp.max() <= border < parts["test"].timestamp.min()


def test_histories_and_new_items(
    rows: Rows, parts: dict[str, Impressions], first: dict[tuple[str, int], int]
) -> None:
    cut = parts["test"].timestamp.min()
    for part in parts.values():
        for row in range(len(part)):
            user, item, time = part.user_id[row], part.item_index[row], part.timestamp[row]
            before = [
                (-t, rows.item_ids[i], i)
                for (u, i), t in first.items()
                if u == user and t < time and i != item
            ]
            expected = [i for _, _, i in sorted(before)][:4]
            assert part.history[row].tolist() == expected + [0] * (4 - len(expected))
            seen = any(i == item and t < cut for (_, i), t in first.items())
            assert part.item_seen_in_training[row] == seen


def test_unbought_items_are_bought_by_others_soon_and_not_by_the_user(
    parts: dict[str, Impressions], first: dict[tuple[str, int], int]
) -> None:
    cut = parts["test"].timestamp.min()
    bought: Counter[tuple[str, str]] = Counter()
    sampled: Counter[tuple[str, str]] = Counter()
    for part in parts.values():
        on_page = list(zip(part.user_id, part.page_id, part.item_index, strict=True))
        assert len(on_page) == len(set(on_page))
        for row in range(len(part)):
            user, item, time = part.user_id[row], part.item_index[row], int(part.timestamp[row])
            if part.clicked[row]:
                bought[user, part.page_id[row]] += 1
                continue
            sampled[user, part.page_id[row]] += 1
            end = time + WINDOW * DAY if time >= cut else min(time + WINDOW * DAY, cut - 1)
            assert any(u != user and i == item and time <= t <= end for (u, i), t in first.items())
            assert first.get((user, item), end + 1) > end
    assert set(sampled) <= set(bought)
    assert all(number <= NEGATIVES * bought[page] for page, number in sampled.items())
    assert sum(sampled.values()) > 0.8 * NEGATIVES * sum(bought.values())


def test_samples_differ_by_their_seed_alone(rows: Rows, parts: dict[str, Impressions]) -> None:
    again = purchase_rows(rows, negatives=NEGATIVES, window_days=WINDOW)
    other = purchase_rows(rows, negatives=NEGATIVES, window_days=WINDOW, seed=1)
    for name, part in parts.items():
        np.testing.assert_array_equal(part.item_index, again[name].item_index)
        np.testing.assert_array_equal(
            part.item_index[part.clicked == 1], other[name].item_index[other[name].clicked == 1]
        )
    assert parts["test"].item_index.tolist() != other["test"].item_index.tolist()


def test_a_log_of_one_day_is_refused(rows: Rows) -> None:
    split = {n: replace(p, timestamp=np.full(len(p), DAY)) for n, p in rows.split.items()}
    with pytest.raises(InputError, match="two times"):
        purchase_rows(replace(rows, split=split))
