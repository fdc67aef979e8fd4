"""The Beam pipeline: which transform feeds which."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import apache_beam as beam
import tensorflow as tf
from apache_beam.pvalue import AsSingleton, PCollection
from apache_beam.transforms import combiners

from tfrec_vis.prepare.counts import add_counts
from tfrec_vis.prepare.cuts import find_cuts
from tfrec_vis.prepare.identical import identical_counts, picture_hash
from tfrec_vis.prepare.items import (
    COUNTS,
    REJECTS,
    STATUS,
    ChooseItem,
    ReadItem,
    ShrinkImages,
    item_example,
    item_index,
    item_vocabulary,
)
from tfrec_vis.prepare.negatives import ClickPool, SampleClicks
from tfrec_vis.prepare.period import Period, user_period, widest
from tfrec_vis.prepare.rejects import Rejected, reject_count, reject_lines, reject_shard
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
from tfrec_vis.prepare.write import (
    shard_name,
    vocabulary_text,
    write_json,
    write_records,
    write_text,
)
from tfrec_vis.sources.source import Source

FACTS = "facts.json"
"""What the pipeline tells its caller: counts and cuts; no part of the prepared data."""
PICTURES_AT_ONCE = 64


def build(pipeline: beam.Pipeline, source: Source, out: str, settings: PrepareSettings) -> None:
    """Adds the whole preparation to the pipeline.

    Args:
        pipeline: to add to.
        source: raw interactions and catalogue.
        out: folder, which exists and holds ``vocabulary``.
        settings: of the preparation.
    """
    shards = settings.shards

    # The catalogue: one row per item, its picture made ready, then numbered.
    raw_items = pipeline | "catalogue" >> source.catalogue()
    read = raw_items | "read items" >> _outputs(ReadItem(source.item_features), REJECTS)
    chosen = (
        read.main
        | "rows by item" >> beam.GroupByKey()
        | "choose item" >> _outputs(ChooseItem(), REJECTS, COUNTS)
    )
    items = (
        chosen.main
        | beam.BatchElements(PICTURES_AT_ONCE, PICTURES_AT_ONCE)
        | "shrink images"
        >> _outputs(ShrinkImages(settings, source.image_roots), REJECTS, COUNTS, STATUS)
    )
    index = AsSingleton(items[STATUS] | combiners.ToList() | "number items" >> beam.Map(item_index))

    # The log, by user.
    raw_rows = pipeline | "interactions" >> source.interactions()
    reader = ReadInteraction(source.timestamp_format, source.has_labels, source.context_features)
    rows = raw_rows | "read interactions" >> _outputs(reader, REJECTS, index=index)
    merged = (
        rows.main
        | "rows by user" >> beam.GroupByKey()
        | "merge rows" >> _outputs(MergeRows(), COUNTS)
    )
    users = merged.main | "spread users" >> beam.Reshuffle()
    dates = AsSingleton(
        users
        | beam.FlatMap(item_dates)
        | "earliest" >> beam.CombinePerKey(earliest)
        | "dates" >> combiners.ToDict()
    )
    cuts = (
        users
        | beam.FlatMap(click_times)
        | combiners.Count.PerElement()
        | "clicks over time" >> combiners.ToList()
        | beam.Map(find_cuts, settings.splits)
    )
    period = users | "user's period" >> beam.Map(user_period) | beam.CombineGlobally(widest)
    split = users | "split user" >> _outputs(
        SplitUser(settings, source.has_labels, source.context_features),
        COUNTS,
        VOCABULARY,
        cuts=AsSingleton(cuts),
        pool=AsSingleton(_pool(pipeline, users, source.has_labels, settings)),
        index=index,
        dates=dates,
    )

    # What is written.
    _ = (
        items.main
        | beam.Map(item_example, index, dates, source.item_features, shards)
        | "items by shard" >> beam.GroupByKey()
        | "write items" >> beam.Map(_write_shard, out, shards)
    )
    _ = (
        split.main
        | "records by shard" >> beam.GroupByKey()
        | "write records" >> beam.Map(_write_shard, out, shards)
    )
    words = items.main | "item words" >> beam.FlatMap(item_vocabulary, source.item_features)
    _ = (
        [split[VOCABULARY], words]
        | "all words" >> beam.Flatten()
        | beam.Distinct()
        | "words by name" >> beam.GroupByKey()
        | beam.Map(_write_vocabulary, out)
    )
    rejects = [
        read[REJECTS],
        chosen[REJECTS],
        items[REJECTS],
        rows[REJECTS],
    ] | "all rejects" >> beam.Flatten()
    _ = (
        rejects
        | beam.Map(reject_shard, shards)
        | "rejects by shard" >> beam.GroupByKey()
        | beam.Map(_write_rejects, out, shards)
    )
    identical = (
        items.main
        | "hash pictures" >> beam.Map(picture_hash)
        | "items by picture" >> combiners.Count.PerElement()
        | "identical pictures" >> beam.FlatMap(identical_counts)
    )
    counts = (
        [
            identical,
            raw_items | "items read" >> beam.Map(_one, ("items", "read")),
            raw_rows | "interactions read" >> beam.Map(_one, ("interactions", "read")),
            rejects | beam.Map(reject_count),
            chosen[COUNTS],
            items[COUNTS],
            merged[COUNTS],
            split[COUNTS],
        ]
        | "all counts" >> beam.Flatten()
        | "add counts" >> beam.CombinePerKey(add_counts)
        | "counts" >> combiners.ToList()
    )
    _ = counts | beam.Map(_write_facts, AsSingleton(cuts), AsSingleton(period), out)


def _pool(
    pipeline: beam.Pipeline, users: PCollection, has_labels: bool, settings: PrepareSettings
) -> PCollection:
    """One ClickPool; empty where the log itself tells what was not clicked."""
    if has_labels:
        return pipeline | "no pool" >> beam.Create([ClickPool([])])
    return (
        users
        | beam.FlatMap(daily_clicks, settings.seed)
        | beam.CombinePerKey(SampleClicks(settings.sample_per_day))
        | beam.Values()
        | "days" >> combiners.ToList()
        | "pool" >> beam.Map(ClickPool)
    )


def _outputs(fn: beam.DoFn, *tags: str, **side_inputs: Any) -> beam.PTransform:
    return beam.ParDo(fn, **side_inputs).with_outputs(*tags, main="main")


def _one(_: Any, key: tuple[str, str]) -> tuple[tuple[str, str], tuple[int, None]]:
    return key, (1, None)


def _write_shard(
    element: tuple[tuple[str, int], Iterable[tuple[Any, bytes]]], out: str, shards: int
) -> None:
    (stem, shard), records = element
    path = tf.io.gfile.join(out, shard_name(stem, "tfrecord", shard, shards))
    write_records(path, (record for _, record in sorted(records)))


def _write_rejects(
    element: tuple[tuple[str, int], Iterable[Rejected]], out: str, shards: int
) -> None:
    (kind, shard), rejects = element
    name = shard_name(f"rejects-{kind}", "jsonl", shard, shards)
    write_text(tf.io.gfile.join(out, name), reject_lines(rejects))


def _write_vocabulary(element: tuple[str, Iterable[str]], out: str) -> None:
    name, values = element
    write_text(tf.io.gfile.join(out, "vocabulary", f"{name}.txt"), vocabulary_text(values))


def _write_facts(
    counts: Sequence[tuple], cuts: Sequence[int], period: Period | None, out: str
) -> None:
    facts = [[list(key), number, example] for key, (number, example) in sorted(counts)]
    path = tf.io.gfile.join(out, FACTS)
    write_json(path, {"counts": facts, "cuts": list(cuts), "period": period})
