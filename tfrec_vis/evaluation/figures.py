"""How a report's figures are read (null is undefined) and written."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from statistics import fmean
from typing import Any

UNDEFINED = "n/a"


def number(value: Any) -> float | None:
    """Return a float, or None for null and NaN."""
    return None if value is None or math.isnan(value) else float(value)


def interval(comparison: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return a comparison's 95 % interval, or None where undefined."""
    low, high = map(number, comparison.get("ci95") or (None, None))
    return None if low is None or high is None else (low, high)


def mean(values: Iterable[Any]) -> float | None:
    """Return the mean of the defined values, or None without any."""
    known = [value for value in map(number, values) if value is not None]
    return fmean(known) if known else None


def decimal(value: float | None, digits: int = 4) -> str:
    """Write a figure with fixed digits."""
    value = number(value)
    return UNDEFINED if value is None else f"{value:.{digits}f}"


def points(difference: float | None, digits: int = 1) -> str:
    """Write a difference of AUC in points (0.01 is one), with its sign."""
    difference = number(difference)
    if difference is None:
        return UNDEFINED
    return f"{round(100 * difference, digits) + 0.0:+.{digits}f}"


def interval_text(ci95: tuple[float, float] | None, digits: int = 2) -> str:
    """Write an interval in points."""
    return UNDEFINED if ci95 is None else f"{points(ci95[0], digits)} to {points(ci95[1], digits)}"


def p_cell(p_value: float | None) -> str:
    """Write a p-value for a table: "0.012" or "< 0.001"."""
    p_value = number(p_value)
    if p_value is None:
        return UNDEFINED
    return "< 0.001" if p_value < 0.001 else f"{p_value:.{3 if p_value < 0.1 else 2}f}"


def p_text(p_value: float | None) -> str:
    """Write a p-value for a sentence: "p = 0.012" or "p < 0.001"."""
    cell = p_cell(p_value)
    return f"p {cell}" if cell.startswith("<") else f"p = {cell}"


def change_text(
    difference: float | None,
    ci95: tuple[float, float] | None,
    p_value: float | None,
    p_holm: float | None = None,
    over: str = "",
) -> str:
    """Write a tested difference of AUC: "+3.1 points (95 % interval +2.4 to +3.8, p < 0.001)".

    Args:
        difference, ci95, p_value: as in a comparison.
        p_holm: Holm's, written behind p if given.
        over: what it is compared with, written behind the points.
    """
    difference = number(difference)
    if difference is None or ci95 is None or number(p_value) is None:
        return "undefined"
    digits = 1 if abs(difference) >= 0.01 else 2
    adjusted = "" if number(p_holm) is None else f", Holm's {p_text(p_holm)}"
    return (
        f"{points(difference, digits)} points{over and f' over {over}'} "
        f"(95 % interval {interval_text(ci95, digits)}, {p_text(p_value)}{adjusted})"
    )


def protocol_text(protocol: str) -> str:
    """Write a protocol's name in words."""
    return {"scratch": "from scratch", "warm_start": "warm start"}.get(protocol, protocol)
