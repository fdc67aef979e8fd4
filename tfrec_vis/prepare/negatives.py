"""Un-clicked items for logs that hold clicks alone.

Drawn from what *others* click at the same time or soon after: an item drawn from earlier
clicks would show a recent click in its features, while the clicked item's own click is hidden.
"""

from __future__ import annotations

import heapq
import math
import random
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import accumulate

import apache_beam as beam

from tfrec_vis.prepare.cuts import DAY, next_cut
from tfrec_vis.prepare.hashing import stable_hash
from tfrec_vis.prepare.validate import Row

Click = tuple[int, str, str]
"""(timestamp, item_id, user_id)"""


class SampleClicks(beam.CombineFn):
    """A bounded sample of (hash, click) pairs, those of the smallest hashes, and their number.

    Every click is as likely as any other, so items are in it by their click frequency.
    """

    def __init__(self, size: int) -> None:
        self.size = size

    def create_accumulator(self) -> tuple[int, list[tuple[int, Click]]]:
        return 0, []

    def add_input(
        self, accumulator: tuple[int, list[tuple[int, Click]]], element: tuple[int, Click]
    ) -> tuple[int, list[tuple[int, Click]]]:
        count, sample = accumulator
        sample.append(element)
        if len(sample) >= 2 * self.size:
            sample = heapq.nsmallest(self.size, sample)
        return count + 1, sample

    def merge_accumulators(
        self, accumulators: Iterable[tuple[int, list[tuple[int, Click]]]]
    ) -> tuple[int, list[tuple[int, Click]]]:
        count = 0
        merged: list[tuple[int, Click]] = []
        for number, sample in accumulators:
            count += number
            merged = heapq.nsmallest(self.size, [*merged, *sample])
        return count, merged

    def extract_output(
        self, accumulator: tuple[int, list[tuple[int, Click]]]
    ) -> tuple[int, list[Click]]:
        count, sample = accumulator
        return count, sorted(click for _, click in heapq.nsmallest(self.size, sample))


def thin(
    day: tuple[tuple[int, int], tuple[int, list[Click]]], days: Mapping[int, int], in_all: int
) -> tuple[int, list[Click]]:
    """A day's sample, made small enough for the samples of all days to stay below ``in_all``.

    Each of the four parts between cuts gets a quarter, so that what is kept before a cut does
    not depend on how long the log goes on after it.

    Args:
        day: the part that it is in and its number; how many clicks it has, and the sample of them.
        days: how many days each part has.
        in_all: clicks of all days together; each day keeps at least one.
    """
    (part, _), (count, sample) = day
    size = max(1, in_all // 4 // days[part])
    if len(sample) > size:
        chosen = heapq.nsmallest(size, sample, key=lambda click: stable_hash("thin", *click))
        sample = sorted(chosen)
    return count, sample


class ClickPool:
    """All sampled clicks in time order, to draw items from by click frequency.

    Args:
        days: per day, the number of its clicks and the sample of them (timestamp, item, user).
            A sampled click weighs as many clicks as it stands for.
    """

    def __init__(self, days: Iterable[tuple[int, list[Click]]]) -> None:
        weighted = sorted(
            (click, count / len(sample)) for count, sample in days for click in sample
        )
        self._clicks = [click for click, _ in weighted]
        self._times = [click[0] for click in self._clicks]
        self._weights = [weight for _, weight in weighted]
        self._total = [0.0, *accumulate(self._weights)]

    def draw(
        self,
        user: str,
        first: int,
        last: float,
        allowed: Callable[[str], bool],
        count: int,
        rng: random.Random,
    ) -> list[str]:
        """Up to ``count`` distinct items clicked by others from ``first`` to ``last``, both in.

        Successive draws by click frequency without replacement. Fewer only if there are fewer.

        Args:
            user: whose own clicks do not count.
            first: seconds.
            last: seconds.
            allowed: tells whether an item may be drawn.
            count: how many.
            rng: decides.

        Returns:
            Item ids in the order drawn.
        """
        low = bisect_left(self._times, first)
        high = bisect_right(self._times, last)
        drawn: list[str] = []
        if low == high:
            return drawn
        for _ in range(10 * count):
            if len(drawn) == count:
                return drawn
            at = self._total[low] + rng.random() * (self._total[high] - self._total[low])
            _, item, other = self._clicks[min(bisect_right(self._total, at), high) - 1]
            if other != user and allowed(item) and item not in drawn:
                drawn.append(item)
        # Hardly anything is left to draw: weigh all of it.
        weights: defaultdict[str, float] = defaultdict(float)
        for (_, item, other), weight in zip(
            self._clicks[low:high], self._weights[low:high], strict=True
        ):
            if other != user and allowed(item) and item not in drawn:
                weights[item] += weight
        keys = {item: -math.log(1 - rng.random()) / weights[item] for item in sorted(weights)}
        return drawn + sorted(keys, key=keys.__getitem__)[: count - len(drawn)]


def sample_negatives(
    user: str,
    rows: Sequence[Row],
    pool: ClickPool,
    cuts: Sequence[int],
    *,
    seed: int,
    negatives: int,
    window_days: float,
) -> list[Row]:
    """Un-clicked rows for the clicks of one user.

    A click at time t gets items that others clicked within [t, t + window], the window ending
    before the next cut, and that this user has not clicked by its end; on a page each item
    is drawn once. The new rows copy the click's timestamp, page and context.

    Args:
        user: user_id.
        rows: the user's clicks.
        pool: everybody's clicks.
        cuts: timestamps.
        seed: with user, page and clicked item, the seed of each draw.
        negatives: items wanted per click.
        window_days: length of the window.

    Returns:
        The new rows alone.
    """
    first_click: dict[str, int] = {}
    pages: defaultdict[str, list[Row]] = defaultdict(list)
    for row in sorted(rows):
        first_click.setdefault(row.item_id, row.timestamp)
        pages[row.page_id].append(row)
    sampled: list[Row] = []
    for page_id, clicks in pages.items():
        on_page: set[str] = set()
        cut = -math.inf
        for click in clicks:
            if click.timestamp >= cut:
                cut = next_cut(click.timestamp, cuts)
                on_page |= {row.item_id for row in clicks if row.timestamp < cut}
            last = min(click.timestamp + window_days * DAY, cut - 1)
            rng = random.Random(stable_hash("negatives", seed, user, page_id, click.item_id))
            drawn = pool.draw(
                user,
                click.timestamp,
                last,
                _allowed(on_page, first_click, last),
                negatives,
                rng,
            )
            on_page.update(drawn)
            sampled += [click._replace(item_id=item, clicked=0) for item in drawn]
    return sampled


def _allowed(
    on_page: Collection[str], first_click: Mapping[str, int], last: float
) -> Callable[[str], bool]:
    """Neither on the page nor clicked by the user up to the moment."""
    return lambda item: item not in on_page and first_click.get(item, math.inf) > last
