from __future__ import annotations

import math

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from metric_cases import Case, cases, drawn

from tfrec_vis.metrics import log_loss


def test_equals_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 1_000)
    probabilities = np.append([0.0, 1.0], rng.random(998))
    labels[:2] = [1, 0]  # certain and wrong: clipped, not infinite
    expected = sklearn.metrics.log_loss(labels, probabilities)
    assert log_loss(labels, probabilities) == pytest.approx(expected, rel=1e-12)


@drawn
@given(cases(probabilities=True))
def test_equals_scikit_learn_on_any_rows(case: Case) -> None:
    labels, probabilities, _, weights, _ = case
    for given_weights in (None, weights):
        value = log_loss(labels, probabilities, given_weights)
        if not (len(labels) if given_weights is None else weights.sum()):
            assert math.isnan(value)
            continue
        expected = sklearn.metrics.log_loss(
            labels, probabilities, sample_weight=given_weights, labels=[0, 1]
        )
        assert value == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_one_class_is_defined_and_no_rows_is_not() -> None:
    assert log_loss([1, 1], [0.5, 0.25]) == pytest.approx((math.log(2) + math.log(4)) / 2)
    assert math.isnan(log_loss([], []))


def test_logits_are_refused() -> None:
    with pytest.raises(ValueError, match="sigmoid"):
        log_loss([1, 0], [2.0, -1.0])


def test_bad_weights_are_refused() -> None:
    with pytest.raises(ValueError, match="non-negative"):
        log_loss([1, 0], [0.5, 0.5], [1, -1])
    with pytest.raises(ValueError, match=r"weights of shape \(2,\)"):
        log_loss([1, 0], [0.5, 0.5], [1])
