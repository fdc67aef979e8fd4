from __future__ import annotations

import numpy as np
import pytest

from tfrec_vis.ranking.attribute_overlap import SUMMARIES, attribute_overlap, rarity

ROWS, CLICKS, ATTRIBUTES = 40, 6, 3


def inputs() -> tuple[np.ndarray, ...]:
    random = np.random.default_rng(0)
    target = random.integers(0, 4, [ROWS, ATTRIBUTES])
    history = random.integers(0, 4, [ROWS, CLICKS, ATTRIBUTES])
    clicks = random.integers(0, CLICKS + 1, ROWS)
    clicks[:3] = 0, 1, CLICKS
    mask = np.arange(CLICKS) < clicks[:, None]
    weights = np.where(target > 0, random.uniform(0.1, 3, target.shape), 0)
    return target, history, mask, weights.astype(np.float32)


def by_loop(target: np.ndarray, history: np.ndarray, mask: np.ndarray, weights: np.ndarray):
    rows = []
    for n in range(len(target)):
        shares, overlaps = np.zeros(target.shape[1]), []
        for click in np.flatnonzero(mask[n]):
            equal = (history[n, click] == target[n]) & (target[n] > 0)
            shares += equal / mask[n].sum()
            total = float(weights[n].sum())
            overlaps.append(float(weights[n][equal].sum()) / total if total else 0.0)
        if overlaps:
            highest = sorted(overlaps, reverse=True)[:3]
            of_age = [1 / (1 + click) for click in np.flatnonzero(mask[n])]
            summaries = [
                np.mean(overlaps),
                max(overlaps),
                np.mean(highest),
                np.average(overlaps, weights=of_age),
            ]
        else:
            summaries = [0.0] * SUMMARIES
        rows.append([*shares, *summaries])
    return np.array(rows)


def test_equals_a_loop() -> None:
    np.testing.assert_allclose(attribute_overlap(*inputs()), by_loop(*inputs()), atol=1e-6)


def test_padding_has_no_influence() -> None:
    target, history, mask, weights = inputs()
    other = np.where(mask[..., None], history, target[:, None])
    longer = [np.pad(other, [(0, 0), (0, 2), (0, 0)]), np.pad(mask, [(0, 0), (0, 2)])]
    np.testing.assert_allclose(
        attribute_overlap(target, *longer, weights), attribute_overlap(*inputs()), atol=1e-6
    )


@pytest.mark.parametrize(("rows", "clicks", "width"), [(0, 4, 2), (1, 0, 2), (2, 1, 0)])
def test_nothing_gives_zeros(rows: int, clicks: int, width: int) -> None:
    out = attribute_overlap(
        np.ones([rows, width], int),
        np.ones([rows, clicks, width], int),
        np.ones([rows, clicks], bool),
        np.ones([rows, width], np.float32),
    ).numpy()
    assert out.shape == (rows, width + SUMMARIES)
    assert rows == 0 or (out == 0).all()


def test_the_number_of_equal_clicks_alone_tells_nothing() -> None:
    once, often = (
        attribute_overlap(
            np.array([[1, 2]]),
            np.array([[[1, 3]] * count]),
            np.ones([1, count], bool),
            np.ones([1, 2], np.float32),
        )
        for count in (1, 5)
    )
    np.testing.assert_allclose(once, often, rtol=1e-6)


def test_rarity_counts_the_items_seen_alone() -> None:
    values = np.array([[0, 0], [1, 1], [1, 2], [2, 0], [3, 3]])
    found = rarity(values, np.array([1, 2, 3]))
    shares = np.array([[3, 2], [3, 2], [2, 0], [1, 1]]) / 4
    expected = -np.log(np.where(shares > 0, shares, 1))
    np.testing.assert_allclose(found[1:], expected, rtol=1e-6)
    np.testing.assert_array_equal(found[0], 0)
