"""Beam transforms of the log, one user at a time."""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam

from tfrec_vis.prepare.cuts import DAY, split_of
from tfrec_vis.prepare.hashing import shard_of, stable_hash
from tfrec_vis.prepare.history import ClickHistory
from tfrec_vis.prepare.item_table import ItemTable
from tfrec_vis.prepare.items import COUNTS, REJECTS
from tfrec_vis.prepare.negatives import Click, ClickPool, sample_negatives
from tfrec_vis.prepare.pages import page_records
from tfrec_vis.prepare.rejects import rejected
from tfrec_vis.prepare.settings import PrepareSettings
from tfrec_vis.prepare.validate import Reject, Row, interaction
from tfrec_vis.prepare.write import example

VOCABULARY = "vocabulary"
NEVER = sys.maxsize


class ReadInteraction(beam.DoFn):
    """Raw log rows and the item_index (0: rejected) -> (user_id, row as a plain tuple)."""

    def __init__(self, timestamp_format: str, has_labels: bool, context: Sequence[str]) -> None:
        self.timestamp_format = timestamp_format
        self.has_labels = has_labels
        self.context = tuple(context)

    def process(self, raw: Any, index: ItemTable) -> Iterator[Any]:
        try:
            if raw.problem:
                raise Reject(raw.problem)
            user, row = interaction(
                raw.values, self.timestamp_format, self.has_labels, self.context
            )
            found = index.get(row.item_id)
            if found is None:
                raise Reject("unknown_item")
            if found == (0,):
                raise Reject("item_rejected")
        except Reject as error:
            yield beam.pvalue.TaggedOutput(
                REJECTS, rejected("interactions", raw.where, error.reason, raw.values)
            )
        else:
            yield user, tuple(row)


class MergeRows(beam.DoFn):
    """(user, rows) -> (user, distinct rows in time order); a click outweighs its absence.

    Of a user's distinct rows the earliest are kept, the others and their copies rejected: never
    more than twice the limit is held, and what is kept does not depend on what comes later.

    Args:
        max_rows: the limit.
    """

    def __init__(self, max_rows: int) -> None:
        self.max_rows = max_rows

    def process(self, element: tuple[str, Iterable[tuple]]) -> Iterator[Any]:
        user, found = element
        rows: dict[tuple[int, str, str], tuple[Row, int]] = {}
        last: tuple[int, str, str] | None = None
        for row in map(Row._make, found):
            key = row[:3]
            if last is not None and key > last:
                yield _over_limit(user, row)
                continue
            best, copies = rows.get(key, (row, 0))
            rows[key] = min(best, row, key=lambda row: (-row.clicked, row.context)), copies + 1
            if len(rows) > 2 * self.max_rows:
                yield from self._cut(user, rows)
                last = max(rows)
        yield from self._cut(user, rows)
        yield user, [tuple(rows[key][0]) for key in sorted(rows)]
        yield _count("interactions", "kept", number=len(rows))
        copies = sum(copies for _, copies in rows.values())
        yield _count("interactions", "merged", number=copies - len(rows))

    def _cut(self, user: str, rows: dict[tuple[int, str, str], tuple[Row, int]]) -> Iterator[Any]:
        for key in sorted(rows)[self.max_rows :]:
            row, copies = rows.pop(key)
            for _ in range(copies):
                yield _over_limit(user, row)


class SplitUser(beam.DoFn):
    """(user, rows) -> ((record type, shard), (order, record)), counts and vocabularies.

    Args:
        settings: of the preparation.
        has_labels: whether the log itself tells what was not clicked.
        context: names of the context features.
    """

    def __init__(self, settings: PrepareSettings, has_labels: bool, context: Sequence[str]) -> None:
        self.settings = settings
        self.has_labels = has_labels
        self.context = tuple(context)

    def process(
        self,
        element: tuple[str, list[tuple]],
        cuts: Sequence[int],
        pool: ClickPool,
        index: ItemTable,
        dates: ItemTable,
    ) -> Iterator[Any]:
        if not cuts:
            return
        user, found = element
        settings = self.settings
        rows = [Row._make(row) for row in found]
        clicks = ClickHistory(rows)
        counts: Counter[tuple[str, ...]] = Counter()
        if not self.has_labels:
            sampled = sample_negatives(
                user,
                rows,
                pool,
                cuts,
                seed=settings.seed,
                negatives=settings.negatives,
                window_days=settings.negatives_window_days,
            )
            counts["negatives", "wanted"] = settings.negatives * len(rows)
            counts["negatives", "written"] = len(sampled)
            rows = sorted([*rows, *sampled])
        shard = shard_of(user, settings.shards)
        items = {row.item_id for row in rows}
        number = {item: _known(index, item)[0] for item in items}
        early = {item for item in items if _known(dates, item)[1] < cuts[1]}
        for order, record in self._pages(user, rows, clicks, cuts[0], number, counts):
            yield ("pages-pretrain", shard), (order, record)
        for split, order, record in self._impressions(user, rows, clicks, cuts, number, early):
            yield (f"impressions-{split}", shard), (order, record)
        for row in rows:
            split = split_of(row.timestamp, cuts)
            counts["splits", split, "rows"] += 1
            counts["splits", split, "clicks"] += row.clicked
            counts["splits", split, "users"] = 1
        for key, seen in counts.items():
            yield _count(*key, number=seen)
        for name, value in self._vocabulary(user, rows, cuts[1]):
            yield beam.pvalue.TaggedOutput(VOCABULARY, (name, value))

    def _pages(
        self,
        user: str,
        rows: Sequence[Row],
        clicks: ClickHistory,
        cut: int,
        number: Mapping[str, int],
        counts: Counter[tuple[str, ...]],
    ) -> Iterator[tuple[tuple, bytes]]:
        pages: defaultdict[str, list[Row]] = defaultdict(list)
        for row in rows:
            if row.timestamp < cut:
                pages[row.page_id].append(row)
        for page_id, shown in pages.items():
            counts["splits", "pretrain", "pages"] += 1
            records = page_records(
                user,
                shown,
                clicks,
                seed=self.settings.seed,
                max_shown=self.settings.max_shown,
                page_history=self.settings.page_history,
            )
            for position, page in enumerate(records):
                counts["splits", "pretrain", "records"] += 1
                counts["splits", "pretrain", "clicks"] += sum(page.clicked)
                yield (
                    (page.timestamp, user, page_id, position),
                    example(
                        {
                            "user_id": user,
                            "page_id": page_id,
                            "timestamp": page.timestamp,
                            "history": [number[item] for item in page.history],
                            "shown": [number[item] for item in page.shown],
                            "clicked": page.clicked,
                        }
                    ),
                )

    def _impressions(
        self,
        user: str,
        rows: Sequence[Row],
        clicks: ClickHistory,
        cuts: Sequence[int],
        number: Mapping[str, int],
        early: Collection[str],
    ) -> Iterator[tuple[str, tuple, bytes]]:
        limit = self.settings.max_history
        moment, history = -1, []
        for row in rows:
            if row.timestamp != moment:
                # One more than stored: the target may be among them.
                moment, history = row.timestamp, clicks.before(row.timestamp, (), limit + 1)
            index = number[row.item_id]
            yield (
                split_of(moment, cuts),
                (moment, user, row.page_id, index),
                example(
                    {
                        "user_id": user,
                        "item_index": index,
                        "clicked": row.clicked,
                        "timestamp": moment,
                        "page_id": row.page_id,
                        "history": [number[item] for item in history if item != row.item_id][
                            :limit
                        ],
                        "in_pretraining": int(moment < cuts[0]),
                        "item_seen_in_training": int(row.item_id in early),
                        **dict(zip(self.context, row.context, strict=True)),
                    }
                ),
            )

    def _vocabulary(self, user: str, rows: Sequence[Row], cut: int) -> set[tuple[str, str]]:
        """User and context values of rows before the cut."""
        early = [row for row in rows if row.timestamp < cut]
        words = {("user_id", user)} if early else set()
        for row in early:
            words.update(zip(self.context, row.context, strict=True))
        return {(name, value) for name, value in words if value}


def click_times(element: tuple[str, list[tuple]]) -> list[int]:
    """The timestamps of a user's clicks."""
    return [row.timestamp for row in map(Row._make, element[1]) if row.clicked]


def item_dates(element: tuple[str, list[tuple]]) -> list[tuple[str, tuple[int, int]]]:
    """Item_id and the times of a row and of a click (NEVER if it is none)."""
    return [
        (row.item_id, (row.timestamp, row.timestamp if row.clicked else NEVER))
        for row in map(Row._make, element[1])
    ]


def earliest(times: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """The first row and the first click."""
    seen, clicked = NEVER, NEVER
    for row, click in times:
        seen, clicked = min(seen, row), min(clicked, click)
    return seen, clicked


def daily_clicks(
    element: tuple[str, list[tuple]], cuts: Sequence[int], seed: int
) -> list[tuple[tuple[int, int], tuple[int, Click]]]:
    """The part between cuts and the day of each click, and the hash that chooses the sample.

    A day with a cut has two samples: what is drawn before the cut must not depend on what others
    click after it.
    """
    user, rows = element
    return [
        (
            (bisect_right(cuts, row.timestamp), row.timestamp // DAY),
            (
                stable_hash("sample", seed, user, row.page_id, row.item_id, row.timestamp),
                (row.timestamp, row.item_id, user),
            ),
        )
        for row in map(Row._make, rows)
        if row.clicked
    ]


def _known(table: ItemTable, item_id: str) -> tuple[int, ...]:
    """The numbers of an item that the log holds."""
    numbers = table.get(item_id)
    if numbers is None:
        raise RuntimeError(f"item {item_id!r} is not in the table")
    return numbers


def _over_limit(user: str, row: Row) -> beam.pvalue.TaggedOutput:
    """The reject of a row; where it stands in the log is not known any more."""
    problem = "too_many_rows"
    values = {"item_id": row.item_id, "timestamp": row.timestamp, "page_id": row.page_id}
    place = f"user {user}:{row.timestamp}"
    return beam.pvalue.TaggedOutput(REJECTS, rejected("interactions", place, problem, values))


def _count(*key: str, number: int) -> beam.pvalue.TaggedOutput:
    return beam.pvalue.TaggedOutput(COUNTS, (key, (number, None)))
