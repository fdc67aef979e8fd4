from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from tfrec_vis.metrics import effective_rank, mean_pairwise_cosine


def test_cosine_equals_a_loop() -> None:
    e = np.random.default_rng(0).normal(0.3, 1, (30, 5)).astype(np.float32)
    cosines = [
        float(np.dot(a, b) / np.sqrt(np.dot(a, a) * np.dot(b, b)))
        for a, b in itertools.permutations(e.astype(np.float64), 2)
    ]
    assert mean_pairwise_cosine(e) == pytest.approx(np.mean(cosines), abs=1e-12)


def test_cosine_of_collapsed_opposite_and_zero_rows() -> None:
    assert mean_pairwise_cosine([[1, 2], [2, 4], [3, 6]]) == pytest.approx(1)
    assert mean_pairwise_cosine([[1, 0], [-2, 0]]) == pytest.approx(-1)
    assert mean_pairwise_cosine([[1, 0], [1, 0], [0, 0]]) == pytest.approx(1 / 3)
    assert math.isnan(mean_pairwise_cosine([[1, 0]]))


def test_effective_rank() -> None:
    assert effective_rank(np.eye(6)) == pytest.approx(6)
    assert effective_rank(np.outer([1, 2, 3], [4, 5])) == pytest.approx(1)
    # singular values 3 and 1: p = (3/4, 1/4)
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert effective_rank([[3, 0, 0], [0, 1, 0]]) == pytest.approx(math.exp(entropy))
    assert math.isnan(effective_rank(np.zeros((3, 2))))


@pytest.mark.parametrize("function", [effective_rank, mean_pairwise_cosine])
def test_bad_input_is_refused(function) -> None:
    with pytest.raises(ValueError, match=r"\[n, d\]"):
        function([1.0, 2.0])
    with pytest.raises(ValueError, match="finite"):
        function([[1.0, math.inf]])
