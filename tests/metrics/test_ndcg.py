from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from metric_cases import Case, cases, drawn
from sklearn.metrics import ndcg_score

from tfrec_vis.metrics import ndcg


@pytest.mark.parametrize("k", [1, 3, 10, 100])
@pytest.mark.parametrize("levels", [3, 10**9])
def test_equals_scikit_learn_per_group(levels: int, k: int) -> None:
    rng = np.random.default_rng(k)
    labels = (rng.random(1_500) < 0.2).astype(int)
    scores = rng.integers(0, levels, 1_500) / levels
    groups = rng.integers(0, 150, 1_500)
    values = []
    for group in range(150):
        rows = groups == group
        if rows.sum() > 1 and labels[rows].any():  # scikit-learn refuses groups of one
            values.append(ndcg_score(labels[None, rows], scores[None, rows], k=k))
        elif labels[rows].any():
            values.append(1.0)
    assert ndcg(labels, scores, groups, k) == pytest.approx(np.mean(values), abs=1e-12)


@drawn
@given(cases(), st.integers(1, 12))
def test_equals_scikit_learn_on_any_rows(case: Case, k: int) -> None:
    labels, scores, _, _, groups = case
    values = []
    for group in set(groups.tolist()):
        inside = groups == group
        if labels[inside].any():
            one = inside.sum() == 1  # which scikit-learn refuses
            values.append(1.0 if one else ndcg_score([labels[inside]], [scores[inside]], k=k))
    expected = np.mean(values) if values else math.nan
    assert ndcg(labels, scores, groups, k) == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_by_hand() -> None:
    assert ndcg([1, 0, 0], [3, 2, 1], [5, 5, 5]) == 1
    assert ndcg([0, 1, 0], [3, 2, 1], [5, 5, 5]) == pytest.approx(1 / math.log2(3))
    assert ndcg([0, 1, 0], [3, 2, 1], [5, 5, 5], k=1) == 0


def test_undefined_and_bad_input() -> None:
    assert math.isnan(ndcg([], [], []))
    assert math.isnan(ndcg([0, 0], [0.1, 0.2], ["a", "b"]))
    with pytest.raises(ValueError, match="k of at least 1"):
        ndcg([1], [0.5], ["a"], k=0)
