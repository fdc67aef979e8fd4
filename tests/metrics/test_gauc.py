from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from metric_cases import Case, cases, drawn, has_both
from sklearn.metrics import roc_auc_score

from tfrec_vis.metrics import gauc, gauc_left_out


def by_loop(labels: np.ndarray, scores: np.ndarray, groups: np.ndarray) -> float:
    total = weight = 0.0
    for group in set(groups.tolist()):
        rows = groups == group
        if 0 < labels[rows].sum() < rows.sum():
            total += rows.sum() * roc_auc_score(labels[rows], scores[rows])
            weight += rows.sum()
    return total / weight if weight else math.nan


GROUP_IDS = {
    "dense": lambda g: g,
    "sparse": lambda g: g * 10**12 - 5,
    "unsigned": lambda g: g.astype(np.uint8),
    "small": lambda g: (g - 100).astype(np.int8),
    "extremes": lambda g: np.where(g == 0, np.iinfo(np.int64).min, g),
    "float": lambda g: g / 7,
    "text": lambda g: g.astype(str),
    "object": lambda g: np.array([f"user {i}" for i in g], dtype=object),
}


@pytest.mark.parametrize("ids", GROUP_IDS.values(), ids=GROUP_IDS.keys())
@pytest.mark.parametrize("levels", [3, 10**9])
def test_equals_a_loop(levels: int, ids) -> None:
    rng = np.random.default_rng(levels)
    labels = (rng.random(3_000) < 0.1).astype(int)  # many groups of one class
    scores = rng.integers(0, levels, 3_000) / levels
    groups = ids(rng.integers(0, 200, 3_000))
    expected = by_loop(labels, scores, groups)
    assert gauc(labels, scores, groups) == pytest.approx(expected, abs=1e-12)


@drawn
@given(cases())
def test_equals_a_loop_on_any_rows(case: Case) -> None:
    labels, scores, _, _, groups = case
    expected = by_loop(labels, scores, groups)
    assert gauc(labels, scores, groups) == pytest.approx(expected, abs=1e-12, nan_ok=True)
    of_one_class = [g for g in set(groups.tolist()) if not has_both(labels[groups == g])]
    assert gauc_left_out(labels, groups) == {
        "groups": len(of_one_class),
        "rows": sum(g in of_one_class for g in groups.tolist()),
    }


@pytest.mark.parametrize("ids", GROUP_IDS.values(), ids=GROUP_IDS.keys())
def test_left_out_groups_of_any_type(ids) -> None:
    groups = ids(np.array([0, 0, 1, 1, 3]))
    assert gauc_left_out([0, 1, 1, 1, 0], groups) == {"groups": 2, "rows": 3}


def test_groups_weigh_by_rows_and_one_class_groups_do_not_count() -> None:
    labels = [1, 0, 0, 0, 1, 1, 1]
    scores = [1, 2, 0, 0, 9, 1, 5]
    groups = ["a", "a", "a", "b", "c", "d", "d"]
    assert gauc(labels, scores, groups) == 0.5  # only a: one of two negatives beaten
    assert gauc([*labels, 0, 1], [*scores, 0, 1], [*groups, "e", "e"]) == (3 * 0.5 + 2 * 1) / 5


def test_undefined_and_bad_input() -> None:
    assert math.isnan(gauc([], [], []))
    assert math.isnan(gauc([0, 1], [0.1, 0.2], ["a", "b"]))
    assert gauc_left_out([], []) == {"groups": 0, "rows": 0}
    with pytest.raises(ValueError, match=r"groups of shape \(2,\)"):
        gauc([0, 1], [0.1, 0.2], ["a"])
    with pytest.raises(ValueError, match=r"groups of shape \(2,\)"):
        gauc_left_out([0, 1], ["a"])
