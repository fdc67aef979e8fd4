from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from metric_cases import Case, cases, drawn
from sklearn.calibration import calibration_curve

from tfrec_vis.metrics import expected_calibration_error, reliability


def by_loop(labels: np.ndarray, probabilities: np.ndarray, bins: int) -> list[tuple]:
    """Bins of equal count; tied rows carry their mean label."""
    rows = len(labels)
    order = sorted(range(rows), key=lambda i: probabilities[i])
    rate = {
        p: sum(labels[probabilities == p]) / sum(probabilities == p) for p in set(probabilities)
    }
    count, found, start = min(bins, rows), [], 0
    for b in range(count):
        size = rows // count + (b < rows % count)
        members = order[start : start + size]
        start += size
        predicted = sum(probabilities[i] for i in members) / size
        found.append((size, predicted, sum(rate[probabilities[i]] for i in members) / size))
    return found


@drawn
@given(cases(probabilities=True), st.integers(1, 50))
def test_equals_a_loop_and_is_what_the_error_is_made_of(case: Case, bins: int) -> None:
    count, predicted, clicked = reliability(case.labels, case.scores, bins)
    expected = by_loop(case.labels, case.scores, bins)
    assert [len(count), len(predicted), len(clicked)] == [len(expected)] * 3
    for row, found in zip(expected, zip(count, predicted, clicked, strict=True), strict=True):
        assert found == pytest.approx(row, abs=1e-12)
    if len(count):
        gap = sum(n * abs(p - c) for n, p, c in expected) / len(case.labels)
        error = expected_calibration_error(case.labels, case.scores, bins)
        assert error == pytest.approx(gap, abs=1e-12)


def test_equals_scikit_learn_where_its_quantiles_give_the_same_bins() -> None:
    rng = np.random.default_rng(0)
    p = rng.permutation(np.linspace(0.01, 0.99, 600))
    labels = (rng.random(600) < p).astype(int)
    clicked, predicted = calibration_curve(labels, p, n_bins=15, strategy="quantile")
    count, mean_probability, click_rate = reliability(labels, p)
    assert count.tolist() == [40] * 15
    np.testing.assert_allclose(click_rate, clicked, atol=1e-12)
    np.testing.assert_allclose(mean_probability, predicted, atol=1e-12)


def test_order_of_the_rows_does_not_matter() -> None:
    rng = np.random.default_rng(1)
    p, labels = rng.integers(0, 4, 500) / 4, rng.integers(0, 2, 500)
    order = rng.permutation(500)
    for one, other in zip(
        reliability(labels, p), reliability(labels[order], p[order]), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-12)


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="bins"):
        reliability([1], [0.5], bins=0)
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        reliability([1], [1.5])
