"""Beam transforms that write the files of the prepared folder, each in a fixed order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import apache_beam as beam
import tensorflow as tf
from apache_beam.pvalue import AsDict, AsSingleton, PCollection
from apache_beam.transforms import combiners

from tfrec_vis.prepare.counts import add_counts
from tfrec_vis.prepare.period import Period
from tfrec_vis.prepare.rejects import Rejected, reject_line, reject_shard
from tfrec_vis.prepare.sorting import sort_bounded
from tfrec_vis.prepare.write import (
    shard_name,
    vocabulary_line,
    write_json,
    write_lines,
    write_records,
)

FACTS = "facts.json"
"""What the pipeline tells its caller: counts, cuts, files; no part of the prepared data."""

Written = tuple[str, str]
"""A file's path in the prepared folder, and its SHA-256."""


def write_shards(records: PCollection, out: str, shards: int, label: str) -> PCollection[Written]:
    """Writes ((record type, shard), (order, record)) as TFRecord files."""
    return (
        records
        | f"{label} by shard" >> beam.GroupByKey()
        | f"write {label}" >> beam.Map(_write_shard, out, shards)
    )


def write_words(words: PCollection, out: str) -> PCollection[Written]:
    """Writes (vocabulary, value) as vocabularies."""
    return (
        words
        | "distinct words" >> beam.Distinct()
        | "words by name" >> beam.GroupByKey()
        | "write words" >> beam.Map(_write_vocabulary, out)
    )


def write_rejects(rejects: PCollection, out: str, shards: int) -> PCollection[Written]:
    """Writes the evidence."""
    return (
        rejects
        | "reject shard" >> beam.Map(reject_shard, shards)
        | "rejects by shard" >> beam.GroupByKey()
        | "write rejects" >> beam.Map(_write_rejects, out, shards)
    )


def write_facts(
    counts: PCollection, cuts: PCollection, period: PCollection, files: PCollection, out: str
) -> None:
    """Writes counts, cuts, period and what files there are for the caller."""
    _ = (
        counts
        | "add counts" >> beam.CombinePerKey(add_counts)
        | "counts" >> combiners.ToList()
        | "write facts"
        >> beam.Map(_write_facts, AsSingleton(cuts), AsSingleton(period), AsDict(files), out)
    )


def _write_shard(
    element: tuple[tuple[str, int], Iterable[tuple[Any, bytes]]], out: str, shards: int
) -> Written:
    (stem, shard), records = element
    name = shard_name(stem, "tfrecord", shard, shards)
    in_order = sort_bounded(records, lambda pair: len(pair[1]))
    return name, write_records(tf.io.gfile.join(out, name), (record for _, record in in_order))


def _write_rejects(
    element: tuple[tuple[str, int], Iterable[Rejected]], out: str, shards: int
) -> Written:
    (kind, shard), rejects = element
    name = shard_name(f"rejects-{kind}", "jsonl", shard, shards)
    in_order = sort_bounded(rejects, lambda reject: len(reject[-1]))
    return name, write_lines(tf.io.gfile.join(out, name), map(reject_line, in_order))


def _write_vocabulary(element: tuple[str, Iterable[str]], out: str) -> Written:
    vocabulary, values = element
    name = f"vocabulary/{vocabulary}.txt"
    in_order = sort_bounded(values, len)
    return name, write_lines(tf.io.gfile.join(out, name), map(vocabulary_line, in_order))


def _write_facts(
    counts: Sequence[tuple],
    cuts: Sequence[int],
    period: Period | None,
    files: Mapping[str, str],
    out: str,
) -> None:
    facts = {
        "counts": [[list(key), number, example] for key, (number, example) in sorted(counts)],
        "cuts": list(cuts),
        "period": period,
        "checksums": dict(files),
    }
    write_json(tf.io.gfile.join(out, FACTS), facts)
