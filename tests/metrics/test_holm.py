from __future__ import annotations

import math

import pytest

from tfrec_vis.metrics import holm


def test_by_hand() -> None:
    # sorted 0.005 * 4, 0.01 * 3, 0.03 * 2, 0.04 * 1 (raised to the one before)
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_is_capped_and_keeps_undefined_values_out() -> None:
    assert holm([0.6, 0.7]) == [1, 1]
    adjusted = holm([0.01, None, math.nan, 0.02])
    assert [adjusted[0], adjusted[3]] == pytest.approx([0.02, 0.02])
    assert math.isnan(adjusted[1]) and math.isnan(adjusted[2])
    assert holm([]) == []


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="p-values"):
        holm([0.1, 1.2])
