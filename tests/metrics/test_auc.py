from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from metric_cases import Case, cases, drawn, has_both
from sklearn.metrics import roc_auc_score

from tfrec_vis.metrics import auc


@pytest.mark.parametrize("levels", [2, 7, 10**9])
@pytest.mark.parametrize("rows", [2, 30, 5_000])
def test_equals_scikit_learn(rows: int, levels: int) -> None:
    rng = np.random.default_rng(rows + levels)
    labels = np.append([0, 1], rng.integers(0, 2, rows - 2))
    scores = rng.integers(0, levels, rows) / levels
    assert auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


def test_weights_equal_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 2_000)
    scores = rng.integers(0, 50, 2_000).astype(float)
    weights = rng.random(2_000) * (rng.random(2_000) < 0.8)
    expected = roc_auc_score(labels, scores, sample_weight=weights)
    assert auc(labels, scores, weights) == pytest.approx(expected, abs=1e-12)


@drawn
@given(cases())
def test_equals_scikit_learn_on_any_rows(case: Case) -> None:
    value = auc(case.labels, case.scores)
    if has_both(case.labels):
        assert value == pytest.approx(roc_auc_score(case.labels, case.scores), abs=1e-12)
    else:
        assert math.isnan(value)


@drawn
@given(cases())
def test_weights_equal_scikit_learn_and_fractions(case: Case) -> None:
    labels, scores, _, weights, _ = case
    value = auc(labels, scores, weights)
    if not (weights[labels == 1].sum() and weights[labels == 0].sum()):
        assert math.isnan(value)
        return
    expected = roc_auc_score(labels, scores, sample_weight=weights)
    assert value == pytest.approx(expected, abs=1e-12)
    w = [Fraction(x) for x in weights.tolist()]
    pairs = [(i, j) for i in np.flatnonzero(labels == 1) for j in np.flatnonzero(labels == 0)]
    beaten = sum(w[i] * w[j] for i, j in pairs if scores[i] > scores[j])
    tied = sum(w[i] * w[j] for i, j in pairs if scores[i] == scores[j])
    exact = (beaten + tied / 2) / sum(w[i] * w[j] for i, j in pairs)
    assert value == pytest.approx(float(exact), abs=1e-12)


def test_is_exact_for_large_samples() -> None:
    labels = np.tile([0, 1], 300_000)
    scores = np.arange(600_000.0)
    # positive k (0-based) beats k + 1 of the 300,000 negatives
    assert auc(labels, scores) == (300_000 + 1) / 2 / 300_000
    assert auc(labels, np.zeros(600_000)) == 0.5


@pytest.mark.parametrize("labels", [[], [0, 0, 0], [1]])
def test_one_class_is_undefined(labels: list[int]) -> None:
    assert math.isnan(auc(labels, np.arange(len(labels))))


def test_class_without_weight_is_undefined() -> None:
    assert math.isnan(auc([0, 1, 1], [0.1, 0.2, 0.3], [0, 1, 1]))


@pytest.mark.parametrize(
    ("labels", "scores", "weights", "message"),
    [
        ([0, 1], [0.5], None, r"scores of shape \(2,\)"),
        ([0, 2], [0.5, 0.1], None, "0 or 1"),
        ([0.5, 1], [0.5, 0.1], None, "0 or 1"),
        (["a", "b"], [0.5, 0.1], None, "0 or 1"),
        ([[0, 1]], [0.5, 0.1], None, r"shape \[n\]"),
        ([0, 1], [math.nan, 0.1], None, "finite"),
        ([0, 1], [0.5, 0.1], [-1, 1], "non-negative"),
    ],
)
def test_bad_input_is_refused(labels, scores, weights, message) -> None:
    with pytest.raises(ValueError, match=message):
        auc(labels, scores, weights)
