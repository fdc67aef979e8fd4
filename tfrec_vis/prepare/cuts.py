"""The moments that divide the log: pre-training, training, validation, test."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from fractions import Fraction
from itertools import accumulate

import apache_beam as beam
from apache_beam.pvalue import AsSingleton, PCollection
from apache_beam.transforms import combiners

DAY = 86_400
SPLITS = ("train", "validation", "test")


class FindCuts(beam.PTransform):
    """Timestamps of all clicks, given twice -> one tuple, the cut of each fraction.

    Clicks are counted by day, then by second within the few days that hold a cut: what is kept
    in one place is bounded by the days from 1970 to 2100, however long the log is. The two inputs
    may be one PCollection, or two readings of a file, which then is not kept in memory.

    Args:
        fractions: as for ``find_cuts``.
    """

    def __init__(self, fractions: Sequence[float]) -> None:
        super().__init__()
        self.fractions = tuple(fractions)

    def expand(self, times: tuple[PCollection, PCollection]) -> PCollection:
        days = (
            times[0]
            | beam.Map(_day)
            | "per day" >> combiners.Count.PerElement()
            | "days" >> combiners.ToList()
        )
        chosen = days | beam.Map(days_of_cuts, self.fractions)
        seconds = (
            times[1]
            | beam.Filter(_in_days, AsSingleton(chosen))
            | "per second" >> combiners.Count.PerElement()
            | "seconds" >> combiners.ToList()
        )
        return days | beam.Map(_cuts, AsSingleton(seconds), AsSingleton(chosen), self.fractions)


def find_cuts(clicks: Iterable[tuple[int, int]], fractions: Sequence[float]) -> tuple[int, ...]:
    """The cut of each fraction f: the first timestamp after that of click ceil(f n) of n.

    A row with timestamp < cut lies before the cut. Where no later timestamp exists, the cut
    lies just after the last click and nothing follows it.

    Args:
        clicks: pairs of timestamp and number of clicks, each timestamp once, in any order.
        fractions: in (0, 1).

    Returns:
        One timestamp per fraction; () if there are no clicks.
    """
    counted = sorted(clicks)
    if not counted:
        return ()
    moments = [moment for moment, _ in counted]
    moments.append(moments[-1] + 1)
    return tuple(moments[place + 1] for place in _places(counted, fractions))


def days_of_cuts(days: Iterable[tuple[int, int]], fractions: Sequence[float]) -> set[int]:
    """The days whose seconds decide the cuts: that of click ceil(f n), and the next with clicks.

    Args:
        days: pairs of day and number of clicks, each day once, in any order.
        fractions: in (0, 1).
    """
    counted = sorted(days)
    if not counted:
        return set()
    places = _places(counted, fractions)
    return {day for place in places for day, _ in counted[place : place + 2]}


def split_of(timestamp: int, cuts: Sequence[int]) -> str:
    """The split of an impression: training holds everything before the second cut."""
    if timestamp < cuts[1]:
        return SPLITS[0]
    return SPLITS[1] if timestamp < cuts[2] else SPLITS[2]


def next_cut(timestamp: int, cuts: Sequence[int]) -> float:
    """The first cut after the moment, infinity after the last one."""
    return min((cut for cut in cuts if cut > timestamp), default=math.inf)


def _places(counted: Sequence[tuple[int, int]], fractions: Sequence[float]) -> list[int]:
    """Where in the sorted counts click ceil(f n) lies."""
    totals = list(accumulate(count for _, count in counted))
    return [
        bisect_left(totals, math.ceil(Fraction(str(fraction)) * totals[-1]))
        for fraction in fractions
    ]


def _day(timestamp: int) -> int:
    return timestamp // DAY


def _in_days(timestamp: int, days: Collection[int]) -> bool:
    return timestamp // DAY in days


def _cuts(
    days: Iterable[tuple[int, int]],
    seconds: Iterable[tuple[int, int]],
    chosen: Collection[int],
    fractions: Sequence[float],
) -> tuple[int, ...]:
    """A day in which no cut can lie counts as its first second."""
    others = [(day * DAY, count) for day, count in days if day not in chosen]
    return find_cuts([*others, *seconds], fractions)
