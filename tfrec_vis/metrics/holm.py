"""Correction for several comparisons."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float | None]) -> list[float]:
    """Adjust p-values by Holm's step-down method (family-wise error).

        p~_(i) = max_{j <= i} min(1, (m - j + 1) p_(j)),     p_(1) <= ... <= p_(m)

    Args:
        p_values: m p-values; undefined ones (NaN or None) stay NaN and are not counted in m.

    Returns:
        The adjusted p-values, in the order given.

    Raises:
        ValueError: on a p-value outside [0, 1].

    Source: Holm, Scandinavian Journal of Statistics 1979.
    """
    p = np.array([np.nan if value is None else value for value in p_values], np.float64)
    known = np.flatnonzero(~np.isnan(p))
    if ((p[known] < 0) | (p[known] > 1)).any():
        raise ValueError(f"expected p-values in [0, 1], got {list(p_values)}")
    order = known[np.argsort(p[known], kind="stable")]
    scaled = np.minimum(1.0, p[order] * np.arange(len(order), 0, -1))
    adjusted = np.full(len(p), np.nan)
    adjusted[order] = np.maximum.accumulate(scaled)
    return adjusted.tolist()
