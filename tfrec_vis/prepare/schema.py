"""tensorflow-metadata schemas of the records that were written, for TFDV, TFX and the readers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import apache_beam as beam
import numpy as np
import tensorflow as tf
from apache_beam.pvalue import PCollection
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from tfrec_vis.data.file_systems import load_file_system
from tfrec_vis.data.records import (
    FeatureSpec,
    impression_record,
    item_record,
    page_record,
)
from tfrec_vis.data.shards import parsed_batches
from tfrec_vis.prepare.job import Job
from tfrec_vis.prepare.write import write_text

SMALL_VOCABULARY = 100
"""Texts with at most this many distinct values have them listed in the schema."""

_FLAGS = {"clicked", "in_pretraining", "item_seen_in_training"}
_ITEMS = {"item_index", "history", "shown", "image_item_index"}
_NAMES = {"user_id", "page_id", "item_id", "title", "image"}
"""Texts that are never a vocabulary, however few they are."""

Key = tuple[str, str]
"""Kind of record, feature."""
Bounds = tuple[int, int]


@dataclass(frozen=True)
class Shown:
    """What records show of themselves; bounded, whatever their number.

    Attributes:
        values: lowest and highest integer of a feature.
        lengths: shortest and longest list of a feature.
        words: distinct values of a text feature, or None: more than ``SMALL_VOCABULARY``.
    """

    values: dict[Key, Bounds] = field(default_factory=dict)
    lengths: dict[Key, Bounds] = field(default_factory=dict)
    words: dict[Key, frozenset[bytes] | None] = field(default_factory=dict)


class WriteSchemas(beam.PTransform):
    """Written shards (name, checksum) -> ``schema/{items,pages,impressions}.pbtxt``, likewise.

    A schema has each feature with its type, whether it is always there, and what the data show:
    the range of integers (of item indices: the whole catalogue), the range of list lengths, and
    the values of texts that have few. Shards are read again in batches where they were written.

    Args:
        job: its ``out`` holds ``schema``.
    """

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.out = job.out
        self.specs = (
            tuple(job.source.item_features),
            tuple(job.source.context_features),
            job.settings.image_join == "embedded",
        )

    def expand(self, written: PCollection) -> PCollection:
        """Adds the steps."""
        return (
            written
            | "shards" >> beam.Keys()
            | "what shards show" >> beam.Map(look_at_shard, self.out, *self.specs)
            | "what all show" >> beam.CombineGlobally(merge_shown)
            | "write schemas" >> beam.FlatMap(write_schemas, self.out, *self.specs)
        )


def look_at_shard(
    name: str,
    out: str,
    item_features: Sequence[str],
    context_features: Sequence[str],
    embedded: bool,
) -> Shown:
    """What the records of one file of ``out`` show; its name tells their kind."""
    kind = name.split("-")[0]
    spec = _specs(item_features, context_features, embedded)[kind]
    looked_at = {feature: column for feature, column in spec.items() if feature != "image"}
    path = tf.io.gfile.join(out, name)
    load_file_system(path)
    return merge_shown(_look(kind, batch) for batch in parsed_batches(path, looked_at))


def merge_shown(parts: Iterable[Shown]) -> Shown:
    """What all of the parts together show."""
    values: dict[Key, Bounds] = {}
    lengths: dict[Key, Bounds] = {}
    words: dict[Key, frozenset[bytes] | None] = {}
    for part in parts:
        for mine, its in ((values, part.values), (lengths, part.lengths)):
            for key, (low, high) in its.items():
                before = mine.get(key, (low, high))
                mine[key] = min(low, before[0]), max(high, before[1])
        for key, its_words in part.words.items():
            known = words.get(key, frozenset())
            both = None if known is None or its_words is None else known | its_words
            words[key] = None if both is None else _few(both)
    return Shown(values, lengths, words)


def schemas(
    item_features: Sequence[str], context_features: Sequence[str], embedded: bool, shown: Shown
) -> dict[str, schema_pb2.Schema]:
    """The schemas of ``items``, ``pages`` and ``impressions``."""
    specs = _specs(item_features, context_features, embedded)
    return {kind: _schema(kind, spec, shown) for kind, spec in specs.items()}


def _specs(
    item_features: Sequence[str], context: Sequence[str], embedded: bool
) -> dict[str, FeatureSpec]:
    return {
        "items": item_record(item_features),
        "pages": page_record(embedded),
        "impressions": impression_record(context),
    }


def _look(kind: str, batch: dict[str, np.ndarray | tuple[np.ndarray, np.ndarray]]) -> Shown:
    shown = Shown()
    for name, column in batch.items():
        key = kind, name
        if isinstance(column, tuple):
            column, splits = column
            shown.lengths[key] = _bounds(np.diff(splits))
        if column.dtype != object:
            if column.size:
                shown.values[key] = _bounds(column)
        elif name not in _NAMES:
            shown.words[key] = _few(frozenset(column.tolist()))
    return shown


def _bounds(values: np.ndarray) -> Bounds:
    return int(values.min()), int(values.max())


def _few(words: frozenset[bytes]) -> frozenset[bytes] | None:
    return words if len(words) <= SMALL_VOCABULARY else None


def _schema(kind: str, spec: FeatureSpec, shown: Shown) -> schema_pb2.Schema:
    schema = schema_pb2.Schema()
    for name, column in spec.items():
        key = kind, name
        feature = schema.feature.add(name=name)
        feature.type = schema_pb2.BYTES if column.dtype == tf.string else schema_pb2.INT
        if isinstance(column, tf.io.FixedLenFeature):
            feature.presence.min_fraction = 1.0
            feature.presence.min_count = 1
            feature.shape.SetInParent()
        else:
            # As many pictures as numbers of them: pictures themselves were not looked at.
            counted = (kind, "image_item_index") if name == "image" else key
            low, high = shown.lengths.get(counted, (0, 0))
            feature.value_count.min, feature.value_count.max = low, max(high, 1)
        if name in _FLAGS:
            feature.int_domain.min, feature.int_domain.max = 0, 1
            feature.int_domain.is_categorical = True
        elif name in _ITEMS and ("items", "item_index") in shown.values:
            last = shown.values["items", "item_index"][1]
            feature.int_domain.min, feature.int_domain.max = 1, last
        elif key in shown.values:
            feature.int_domain.min, feature.int_domain.max = shown.values[key]
        if words := shown.words.get(key):
            feature.string_domain.value.extend(sorted(word.decode() for word in words))
        if name == "image":
            feature.image_domain.SetInParent()
    return schema


def write_schemas(
    shown: Shown,
    out: str,
    item_features: Sequence[str],
    context_features: Sequence[str],
    embedded: bool,
) -> Iterator[tuple[str, str]]:
    """Writes the three schemas into the folder ``schema`` of ``out``; gives names, checksums."""
    for kind, schema in schemas(item_features, context_features, embedded, shown).items():
        name = f"schema/{kind}.pbtxt"
        text = text_format.MessageToString(schema, as_utf8=True)
        yield name, write_text(tf.io.gfile.join(out, name), text)
