from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from metric_cases import Case, cases, drawn, has_both
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from tfrec_vis.metrics import delong


def by_loop(labels: np.ndarray, a: np.ndarray, b: np.ndarray) -> dict:
    """DeLong's covariance matrix of both AUCs, from all pairs."""
    positive, negative = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    of_positive, of_negative = [], []
    for scores in (a, b):
        wins = np.array(
            [
                [(scores[i] > scores[j]) + (scores[i] == scores[j]) / 2 for j in negative]
                for i in positive
            ]
        )
        of_positive.append(wins.mean(axis=1))
        of_negative.append(wins.mean(axis=0))
    areas = [v.mean() for v in of_positive]
    covariance = np.cov(of_positive) / len(positive) + np.cov(of_negative) / len(negative)
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    return {"areas": areas, "difference": areas[0] - areas[1], "variance": variance}


@drawn
@given(cases())
def test_equals_a_loop_over_all_pairs(case: Case) -> None:
    result = delong(case.labels, case.scores, case.others)
    if not has_both(case.labels):
        assert all(math.isnan(result[n]) for n in ("difference", "p_value", "auc_a", "auc_b"))
        assert all(map(math.isnan, result["ci95"]))
        return
    for name, scores in (("auc_a", case.scores), ("auc_b", case.others)):
        assert result[name] == pytest.approx(roc_auc_score(case.labels, scores), abs=1e-12)
    if min(case.labels.sum(), (1 - case.labels).sum()) < 2:
        assert math.isnan(result["p_value"]) and all(map(math.isnan, result["ci95"]))
        return
    expected = by_loop(*case[:3])
    assert [result["auc_a"], result["auc_b"]] == pytest.approx(expected["areas"], abs=1e-12)
    assert result["difference"] == pytest.approx(expected["difference"], abs=1e-12)
    low, high = result["ci95"]
    assert (low + high) / 2 == pytest.approx(result["difference"], abs=1e-12)
    deviation = (high - low) / 2 / norm.ppf(0.975)
    assert deviation**2 == pytest.approx(expected["variance"], abs=1e-12)
    if expected["variance"] > 1e-12:
        ratio = abs(expected["difference"]) / math.sqrt(expected["variance"])
        assert result["p_value"] == pytest.approx(2 * norm.sf(ratio), abs=1e-9)
    else:
        assert result["p_value"] == (1.0 if result["difference"] == 0 else 0.0)


def test_swapping_the_models_turns_the_sign_alone() -> None:
    rng = np.random.default_rng(0)
    labels, a, b = rng.integers(0, 2, 500), rng.normal(size=500), rng.normal(size=500)
    one, other = delong(labels, a, b), delong(labels, b, a)
    assert other["difference"] == -one["difference"]
    assert other["ci95"] == [-one["ci95"][1], -one["ci95"][0]]
    assert other["p_value"] == one["p_value"]
    assert delong(labels, np.exp(a), 3 * b + 1) == one  # ranks alone count


def test_a_model_against_itself_differs_by_nothing() -> None:
    rng = np.random.default_rng(1)
    labels, scores = rng.integers(0, 2, 300), rng.integers(0, 20, 300).astype(float)
    result = delong(labels, scores, scores)
    assert (result["difference"], result["ci95"], result["p_value"]) == (0.0, [0.0, 0.0], 1.0)


def test_interval_covers_and_p_is_level_on_independent_rows() -> None:
    rng = np.random.default_rng(2)
    covered = rejected = 0
    for _ in range(400):
        labels = (rng.random(300) < 0.3).astype(int)
        shared = rng.normal(size=300) + labels
        a, b = shared + rng.normal(size=300), shared + rng.normal(size=300)
        result = delong(labels, a, b)
        covered += result["ci95"][0] <= 0 <= result["ci95"][1]
        rejected += result["p_value"] < 0.05
    # 380 and 20 are expected, with a standard deviation of 4.4.
    assert covered >= 362 and rejected <= 38
    assert rejected >= 5


def test_many_rows() -> None:
    """A million rows: no pair is ever looked at alone."""
    rng = np.random.default_rng(3)
    labels = (rng.random(1_000_000) < 0.2).astype(int)
    a, b = rng.normal(size=(2, 1_000_000)) + labels * np.array([[1.0], [0.9]])
    result = delong(labels, a, b)
    assert result["auc_a"] == pytest.approx(roc_auc_score(labels, a), abs=1e-12)
    assert result["difference"] == pytest.approx(
        norm.cdf(1 / 2**0.5) - norm.cdf(0.9 / 2**0.5), abs=2e-3
    )
    assert result["p_value"] < 1e-100


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match=r"scores_b of shape \(2,\)"):
        delong([0, 1], [1, 2], [1])
    with pytest.raises(ValueError, match="0 or 1"):
        delong([0, 2], [1, 2], [1, 2])
