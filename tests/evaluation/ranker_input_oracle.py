"""What the ranker may know of a row, by plain loops over the raw log."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

import numpy as np

from tfrec_vis.evaluation.rows import Rows
from tfrec_vis.ranking import Ranker

DAY = 86_400
Event = tuple[str, str, int, str]
"""(user_id, item_id, timestamp, page_id)"""


class RawLog:
    """The log as the shop wrote it, copies merged; clicked and un-clicked at once is clicked.

    Args:
        rows: (user_id, item_id, timestamp, page_id, clicked).
        labels: whether un-clicked rows are of the log; otherwise they are sampled ones.
    """

    def __init__(self, rows: Iterable[tuple[str, str, int, str, int]], labels: bool) -> None:
        self.labels = labels
        self.rows: dict[Event, int] = {}
        for *event, clicked in rows:
            self.rows[tuple(event)] = max(self.rows.get(tuple(event), 0), clicked)
        self.clicks = [event for event, clicked in self.rows.items() if clicked]

    def history(self, user: str, item: str, moment: int, limit: int) -> list[str]:
        """Distinct items clicked strictly earlier, the target left out, newest first."""
        latest: dict[str, int] = {}
        for who, other, time, _ in self.clicks:
            if who == user and time < moment and other != item:
                latest[other] = max(latest.get(other, time), time)
        return sorted(latest, key=lambda other: (-latest[other], other))[:limit]

    def may_be_sampled(self, event: Event, days: float, cuts: list[int]) -> bool:
        """Clicked by others from then to the window's end, not by the user up to it."""
        user, item, moment, _ = event
        end = min([moment + days * DAY, *(cut - 1 for cut in cuts if cut > moment)])
        clicks = [(who, time) for who, other, time, _ in self.clicks if other == item]
        by_others = any(who != user and moment <= time <= end for who, time in clicks)
        return by_others and not any(who == user and time <= end for who, time in clicks)


def statistics(times: list[int], moment: int) -> list[float]:
    """The columns of ``ItemStatistics`` from an item's events."""
    before = [time for time in times if time < moment]
    counts = [sum(time >= moment - days * DAY for time in before) for days in (10**6, 30, 7)]
    ages = [(moment - time) / DAY for time in before] or [0.0]
    return [*(math.log1p(n) for n in (*counts, min(ages), max(ages))), float(bool(before))]


def overlap(item: np.ndarray, clicks: list[np.ndarray], rarity: list[float]) -> list[float]:
    """Shares and summaries of ``attribute_overlap`` for one row, the newest click first."""
    count = max(len(clicks), 1)
    same = [[value == other != 0 for value, other in zip(item, c, strict=True)] for c in clicks]
    shares = [sum(row[a] for row in same) / count for a in range(len(item))]
    total = sum(rarity)
    each = [sum(r for r, s in zip(rarity, row, strict=True) if s) / total for row in same]
    if not each:
        return [*shares, 0.0, 0.0, 0.0, 0.0]
    top = sorted(each, reverse=True)[:3]
    ages = [1 / place for place in range(1, len(each) + 1)]
    by_age = sum(s * w for s, w in zip(each, ages, strict=True)) / sum(ages)
    return [*shares, sum(each) / count, max(each), sum(top) / len(top), by_age]


def rarities(values: np.ndarray, seen: set[int]) -> np.ndarray:
    """-log of each value's share among the items seen, by counting: [items + 1, attributes]."""
    counts = [Counter(int(values[item, a]) for item in seen) for a in range(values.shape[1])]
    return np.array(
        [
            [
                -math.log((1 + count[int(value)]) / (1 + len(seen))) if value else 0.0
                for count, value in zip(counts, row, strict=True)
            ]
            for row in values
        ]
    )


def check_rows(rows: Rows, log: RawLog, cuts: list[int], days: float, of_each: int) -> None:
    """Compares the ranker's inputs for some rows of each split with the log.

    Args:
        rows: as the experiment reads them.
        log: the raw log.
        cuts: the three timestamps.
        days: window that un-clicked items were sampled from.
        of_each: how many rows of each split, chosen at random.
    """
    ids, ranker = rows.item_ids, Ranker(rows.tables)
    # The target itself is never in the history, so that its id is not counted there.
    shared = [a for a, name in enumerate(rows.tables.attributes) if name != "item_id"]
    values = rows.tables.values[:, shared]
    number = {str(item): index for index, item in enumerate(ids)}
    train = rows.split["train"]
    seen = {number[item] for _, item, time, _ in log.rows if time < cuts[1]}
    # Un-clicked items of sampled rows are no rows of the log.
    seen |= set() if log.labels else set(train.item_index.tolist())
    rare = rarities(values, seen)
    np.testing.assert_allclose(rows.tables.rarity[:, shared], rare, rtol=1e-5, atol=1e-6)
    found: dict[Event, int] = {}
    for name, split in rows.split.items():
        low, high = {
            "train": (-math.inf, cuts[1]),
            "validation": (cuts[1], cuts[2]),
            "test": (cuts[2], math.inf),
        }[name]
        assert len(split) and all(low <= time < high for time in split.timestamp)
        items = [str(ids[index]) for index in split.item_index]
        events = list(
            zip(split.user_id, items, split.timestamp.tolist(), split.page_id, strict=True)
        )
        assert len(set(events)) == len(events)
        found.update(zip(events, split.clicked.tolist(), strict=True))
        inputs = rows.inputs[name]
        np.testing.assert_array_equal(inputs["item"], split.item_index)
        np.testing.assert_array_equal(inputs["timestamp"], split.timestamp)
        numbers = ranker.numbers(inputs).numpy()
        chosen = np.random.default_rng(0).permutation(len(split))[:of_each]
        for row in chosen:
            user, item, moment, _ = event = events[row]
            if log.labels or split.clicked[row]:
                assert split.clicked[row] == log.rows[event]
            else:
                assert log.may_be_sampled(event, days, cuts)
            history = [str(ids[index]) for index in inputs["history"][row] if index]
            assert history == log.history(user, item, moment, rows.tables.history)
            assert split.in_pretraining[row] == (moment < cuts[0])
            clicks = [time for _, other, time, _ in log.clicks if other == item]
            assert split.item_seen_in_training[row] == any(time < cuts[1] for time in clicks)
            index = number[item]
            expected = overlap(values[index], [values[number[o]] for o in history], rare[index])
            expected += statistics(clicks, moment)
            if log.labels:
                shown = [time for _, other, time, _ in log.rows if other == item]
                expected += statistics(shown, moment)
            # All that the ranker reads as a number.
            np.testing.assert_allclose(numbers[row], expected, rtol=1e-5, atol=1e-6)
    of_the_log = {event: clicked for event, clicked in found.items() if log.labels or clicked}
    assert of_the_log == log.rows
    on_page = [(user, page, item) for user, item, _, page in found]
    assert log.labels or len(set(on_page)) == len(on_page)
