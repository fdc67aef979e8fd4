"""The steps of the preparation, from PCollections to PCollections."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.pvalue import AsDict, AsSingleton, PCollection
from apache_beam.transforms import combiners

from tfrec_vis.prepare.cuts import FindCuts
from tfrec_vis.prepare.identical import identical_counts, picture_hash
from tfrec_vis.prepare.item_table import BuildItemTable
from tfrec_vis.prepare.items import (
    COUNTS,
    REJECTS,
    STATUS,
    ChooseItem,
    Item,
    ReadItem,
    SetKnownAside,
    ShrinkImages,
    item_example,
    item_vocabulary,
)
from tfrec_vis.prepare.job import Job
from tfrec_vis.prepare.negatives import ClickPool, SampleClicks, thin
from tfrec_vis.prepare.numbering import NumberItems
from tfrec_vis.prepare.period import user_period, widest
from tfrec_vis.prepare.rejects import reject_count
from tfrec_vis.prepare.settings import PrepareSettings
from tfrec_vis.prepare.users import (
    VOCABULARY,
    MergeRows,
    ReadInteraction,
    SplitUser,
    click_times,
    daily_clicks,
    earliest,
    item_dates,
)

PICTURES_AT_ONCE = 64


class Step(NamedTuple):
    """What a step gives.

    Attributes:
        main: its elements.
        counts: (key, count).
        rejects: what it rejected, counted in ``counts`` too.
    """

    main: PCollection
    counts: PCollection
    rejects: PCollection


class Found(NamedTuple):
    """What all users together say, each a PCollection of one element.

    Attributes:
        cuts: timestamps.
        pool: ClickPool.
        dates: ItemTable of the first time in the log and of the first click.
        period: first and last timestamp; None for an empty log.
    """

    cuts: PCollection
    pool: PCollection
    dates: PCollection
    period: PCollection


def read_catalogue(pipeline: beam.Pipeline, job: Job) -> tuple[Step, PCollection]:
    """The kept items with their pictures, and one ItemTable of item_index (0: rejected)."""
    source, settings, previous = job.source, job.settings, job.previous
    raw = pipeline | "catalogue" >> source.catalogue()
    read = raw | "read items" >> _outputs(ReadItem(source.item_features), REJECTS)
    rows, counts, first = read.main, [], 1
    if previous is not None:
        old = previous.items(pipeline)
        old_numbers = old | "old item numbers" >> beam.MapTuple(_id_and_number)
        known = old_numbers | "known" >> beam.CombineGlobally(BuildItemTable(1))
        new = rows | beam.ParDo(SetKnownAside(), AsSingleton(known)).with_outputs(
            COUNTS, main="main"
        )
        rows, first = new.main, previous.manifest["item_count"] + 1
        counts = [new[COUNTS], previous.counts(pipeline, "items", "read", "kept", "merged")]
    chosen = (
        rows
        | "rows by item" >> beam.GroupByKey()
        | "choose item" >> _outputs(ChooseItem(), REJECTS, COUNTS)
    )
    shrunk = (
        chosen.main
        | beam.BatchElements(PICTURES_AT_ONCE, PICTURES_AT_ONCE)
        | "shrink images"
        >> _outputs(ShrinkImages(settings, source.image_roots), REJECTS, COUNTS, STATUS)
    )
    numbers = [
        shrunk[STATUS] | beam.FlatMap(_kept) | NumberItems(first) | beam.MapTuple(_alone),
        shrunk[STATUS] | beam.FlatMap(_not_kept),
    ]
    rejects = [read[REJECTS], chosen[REJECTS], shrunk[REJECTS]]
    items, old_rejects = shrunk.main, None
    if previous is not None:
        numbers.append(old_numbers)
        old_rejects = previous.rejects(pipeline, "items")
        old_items = old | "old items alone" >> beam.MapTuple(_item_alone)
        items = (items, old_items) | "old and new items" >> beam.Flatten()
    index = (
        numbers | "all items" >> beam.Flatten() | "index" >> beam.CombineGlobally(BuildItemTable(1))
    )
    counts += [chosen[COUNTS], shrunk[COUNTS]]
    return _step("items", items, raw, rejects, counts, old_rejects), index


def read_log(pipeline: beam.Pipeline, job: Job, index: PCollection) -> Step:
    """(user_id, row) of each row that can be used."""
    source, previous = job.source, job.previous
    raw = pipeline | "interactions" >> source.interactions()
    reader = ReadInteraction(source.timestamp_format, source.has_labels, source.context_features)
    read = raw | "read interactions" >> _outputs(reader, REJECTS, index=AsSingleton(index))
    rows, counts, old_rejects = read.main, [], None
    if previous is not None:
        rows = (rows, previous.rows(pipeline)) | "old and new rows" >> beam.Flatten()
        old_rejects = previous.rejects(pipeline, "interactions")
        counts.append(previous.counts(pipeline, "interactions", "read", "merged"))
    return _step("interactions", rows, raw, [read[REJECTS]], counts, old_rejects)


def merge_users(rows: PCollection, settings: PrepareSettings) -> Step:
    """(user_id, distinct rows in time order)."""
    merged = (
        rows
        | "rows by user" >> beam.GroupByKey()
        | "merge rows" >> _outputs(MergeRows(settings.max_user_rows), COUNTS, REJECTS)
    )
    return _step("users", merged.main, None, [merged[REJECTS]], [merged[COUNTS]])


def find(read_users: Callable[[str], PCollection], job: Job) -> Found:
    """Cuts, pool, dates and period.

    Args:
        read_users: gives the merged users. It is called for each step that has to wait for what
            an earlier one found: a runner would keep all users for it, where it cannot read them
            again. Its argument names the step.
        job: of the preparation.
    """
    users = read_users("dates")
    if job.cuts is None:
        times = users | "click times" >> beam.FlatMap(click_times)
        users_again = read_users("cuts")
        times_again = users_again | "click times again" >> beam.FlatMap(click_times)
        cuts = (times, times_again) | FindCuts(job.settings.splits)
    else:
        cuts = users.pipeline | "cuts" >> beam.Create([job.cuts])
    dates = (
        users
        | beam.FlatMap(item_dates)
        | "earliest" >> beam.CombinePerKey(earliest)
        | "dates" >> beam.CombineGlobally(BuildItemTable(2))
    )
    period = users | beam.Map(user_period) | "period" >> beam.CombineGlobally(widest)
    if job.source.has_labels:  # the log itself tells what was not clicked
        pool = users.pipeline | "no pool" >> beam.Create([ClickPool([])])
    else:
        pool = _pool(read_users("pool"), cuts, job.settings)
    return Found(cuts, pool, dates, period)


def split_users(
    users: PCollection, found: Found, index: PCollection, job: Job
) -> tuple[PCollection, PCollection, PCollection]:
    """((record type, shard), (order, record)), counts, and the words of the vocabularies."""
    split = users | "split user" >> _outputs(
        SplitUser(job.settings, job.source.has_labels, job.source.context_features),
        COUNTS,
        VOCABULARY,
        cuts=AsSingleton(found.cuts),
        pool=AsSingleton(found.pool),
        index=AsSingleton(index),
        dates=AsSingleton(found.dates),
    )
    return split.main, split[COUNTS], split[VOCABULARY]


def item_records(
    items: PCollection, index: PCollection, dates: PCollection, job: Job
) -> tuple[PCollection, PCollection]:
    """((record type, shard), (order, record)), and the words of the vocabularies."""
    names = job.source.item_features
    records = items | "item records" >> beam.Map(
        item_example, AsSingleton(index), AsSingleton(dates), names, job.settings.shards
    )
    return records, items | "item words" >> beam.FlatMap(item_vocabulary, names)


def identical_pictures(items: PCollection) -> PCollection:
    """Counts of items that share their very picture with another."""
    return (
        items
        | "hash pictures" >> beam.Map(picture_hash)
        | "items by picture" >> combiners.Count.PerElement()
        | "identical pictures" >> beam.FlatMap(identical_counts)
    )


def _pool(users: PCollection, cuts: PCollection, settings: PrepareSettings) -> PCollection:
    """One ClickPool."""
    days = (
        users
        | beam.FlatMap(daily_clicks, AsSingleton(cuts), settings.seed)
        | "sample days" >> beam.CombinePerKey(SampleClicks(settings.sample_per_day))
    )
    parts = days | "parts of days" >> beam.MapTuple(_part) | combiners.Count.PerElement()
    return (
        days
        | beam.Map(thin, AsDict(parts), settings.sample_in_all)
        | "thinned" >> combiners.ToList()
        | "pool" >> beam.Map(ClickPool)
    )


def _part(day: tuple[int, int], sample: object) -> int:
    return day[0]


def _step(
    kind: str,
    main: PCollection,
    raw: PCollection | None,
    rejects: list[PCollection],
    counts: list[PCollection],
    old_rejects: PCollection | None = None,
) -> Step:
    rejected = rejects | f"{kind} rejected" >> beam.Flatten()
    counts = [*counts, rejected | f"{kind} rejects counted" >> beam.Map(reject_count)]
    if raw is not None:
        # Added up where they are read: one count for each row would fill a runner's memory.
        read = raw | f"count {kind} read" >> combiners.Count.Globally()
        counts.append(read | f"{kind} read" >> beam.Map(_count, (kind, "read")))
    if old_rejects is not None:  # in ``counts`` already, without examples: they are borne
        rejected = (rejected, old_rejects) | f"{kind} rejected, old too" >> beam.Flatten()
    return Step(main, counts | f"{kind} counts" >> beam.Flatten(), rejected)


def _outputs(fn: beam.DoFn, *tags: str, **side_inputs: Any) -> beam.PTransform:
    return beam.ParDo(fn, **side_inputs).with_outputs(*tags, main="main")


def _kept(status: tuple[str, bool]) -> list[str]:
    return [status[0]] if status[1] else []


def _not_kept(status: tuple[str, bool]) -> list[tuple[str, tuple[int]]]:
    return [] if status[1] else [(status[0], (0,))]


def _alone(item_id: str, number: int) -> tuple[str, tuple[int]]:
    return item_id, (number,)


def _id_and_number(item: tuple, number: int) -> tuple[str, tuple[int]]:
    return Item._make(item).item_id, (number,)


def _item_alone(item: tuple, number: int) -> tuple:
    return item


def _count(number: int, key: tuple[str, str]) -> tuple[tuple[str, str], tuple[int, None]]:
    return key, (number, None)
