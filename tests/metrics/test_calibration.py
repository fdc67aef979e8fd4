from __future__ import annotations

import math

import numpy as np
import pytest

from tfrec_vis.metrics import expected_calibration_error


@pytest.mark.parametrize("rows", [7, 15, 1_003])
def test_equals_a_loop(rows: int) -> None:
    rng = np.random.default_rng(rows)
    p = rng.permutation(np.linspace(0, 0.4, rows))
    labels = (rng.random(rows) < 0.5).astype(int)
    order = sorted(range(rows), key=lambda i: p[i])
    count = min(15, rows)
    expected, start = 0.0, 0
    for b in range(count):
        size = rows // count + (b < rows % count)
        members = order[start : start + size]
        start += size
        gap = sum(labels[i] for i in members) / size - sum(p[i] for i in members) / size
        expected += size / rows * abs(gap)
    assert expected_calibration_error(labels, p) == pytest.approx(expected, abs=1e-12)


def test_order_of_equal_probabilities_does_not_matter() -> None:
    labels = np.array([0] * 80 + [1] * 20)
    constant = np.full(100, 0.2)
    assert expected_calibration_error(labels, constant) == pytest.approx(0, abs=1e-12)
    shuffled = np.random.default_rng(0).permutation(labels)
    assert expected_calibration_error(shuffled, constant) == pytest.approx(0, abs=1e-12)
    assert expected_calibration_error(labels, np.full(100, 0.5)) == pytest.approx(0.3)


def test_undefined_and_bad_input() -> None:
    assert math.isnan(expected_calibration_error([], []))
    with pytest.raises(ValueError, match="bins"):
        expected_calibration_error([1], [0.5], bins=0)
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        expected_calibration_error([1], [1.5])
