"""The first and the last moment of the log."""

from __future__ import annotations

from collections.abc import Iterable

Period = tuple[int, int]


def user_period(element: tuple[str, list[tuple]]) -> Period:
    """The first and the last timestamp of a user's rows, which are in time order."""
    rows = element[1]
    return rows[0][0], rows[-1][0]


def widest(periods: Iterable[Period | None]) -> Period | None:
    """From the earliest beginning to the latest end; None if there is none."""
    found = [period for period in periods if period is not None]
    if not found:
        return None
    return min(first for first, _ in found), max(last for _, last in found)
