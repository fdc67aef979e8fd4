from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

from tfrec_vis.ranking import ItemStatistics

DAY = 86_400
START = 1_600_000_000


def filled(item: np.ndarray, time: np.ndarray) -> ItemStatistics:
    layer = ItemStatistics(len(item))
    layer.set_events(item, time)
    return layer


def by_loop(events: list[tuple[int, int]], item: int, now: int) -> list[float]:
    before = sorted(time for i, time in events if i == item and time < now)
    last = (now - before[-1]) / DAY if before else 0.0
    first = (now - before[0]) / DAY if before else 0.0
    month = sum(now - time <= 30 * DAY for time in before)
    week = sum(now - time <= 7 * DAY for time in before)
    numbers = [len(before), month, week, last, first]
    return [*(math.log(1 + n) for n in numbers), float(bool(before))]


def test_equals_a_loop_over_the_events() -> None:
    random = np.random.default_rng(0)
    item = random.integers(1, 8, 200)
    # Whole hours, so that many events and rows fall on the same second.
    time = START + 3600 * random.integers(0, 24 * 60, 200)
    layer = filled(item, time)
    rows_item = random.integers(0, 10, 300)
    rows_time = np.concatenate([time, START + 3600 * random.integers(-48, 24 * 70, 100)])
    expected = [
        by_loop(list(zip(item, time, strict=True)), i, t)
        for i, t in zip(rows_item, rows_time, strict=True)
    ]
    np.testing.assert_allclose(layer(rows_item, rows_time), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("age, counted", [(0, 0), (-1, 0), (1, 1)])
def test_counts_only_what_was_strictly_before(age: int, counted: int) -> None:
    layer = filled(np.array([3]), np.array([START - age]))
    row = layer(np.array([3]), np.array([START]))[0].numpy()
    assert row[0] == pytest.approx(math.log(1 + counted))
    assert row[5] == counted


@pytest.mark.parametrize("column, days", [(1, 30), (2, 7)])
def test_windows_end_after_their_days(column: int, days: int) -> None:
    layer = filled(np.array([3]), np.array([START]))
    ages = np.array([days * DAY, days * DAY + 1])
    inside = layer(np.array([3, 3]), START + ages).numpy()[:, column]
    np.testing.assert_allclose(inside, [math.log(2), 0.0], rtol=1e-6)


def test_an_item_without_events_is_all_zeros_between_others() -> None:
    layer = filled(np.array([1, 3]), np.array([START, START]))
    np.testing.assert_array_equal(layer(np.array([2, 0, 9]), np.full(3, START + DAY)), 0.0)


def test_an_empty_table_gives_zeros() -> None:
    layer = ItemStatistics(0)
    np.testing.assert_array_equal(layer(np.array([1, 2]), np.full(2, START)), np.zeros([2, 6]))


def test_any_integer_type_and_no_row() -> None:
    layer = filled(np.array([1]), np.array([START]))
    assert layer(tf.constant([1], tf.int32), tf.constant([START + 1])).dtype == tf.float32
    assert layer(tf.zeros([0], tf.int32), tf.zeros([0], tf.int64)).shape == (0, 6)


def test_configuration_round_trip() -> None:
    layer = ItemStatistics(5, name="clicks")
    again = ItemStatistics.from_config(layer.get_config())
    assert (again.events, again.name) == (5, "clicks")
    assert again.keys.shape == layer.keys.shape
