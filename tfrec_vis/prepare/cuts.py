"""The moments that divide the log: pre-training, training, validation, test."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import accumulate

SPLITS = ("train", "validation", "test")


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
    moments = [moment for moment, _ in counted]
    totals = list(accumulate(count for _, count in counted))
    if not totals:
        return ()
    moments.append(moments[-1] + 1)
    wanted = [math.ceil(Fraction(str(fraction)) * totals[-1]) for fraction in fractions]
    return tuple(moments[bisect_left(totals, click) + 1] for click in wanted)


def split_of(timestamp: int, cuts: Sequence[int]) -> str:
    """The split of an impression: training holds everything before the second cut."""
    if timestamp < cuts[1]:
        return SPLITS[0]
    return SPLITS[1] if timestamp < cuts[2] else SPLITS[2]


def next_cut(timestamp: int, cuts: Sequence[int]) -> float:
    """The first cut after the moment, infinity after the last one."""
    return min((cut for cut in cuts if cut > timestamp), default=math.inf)
