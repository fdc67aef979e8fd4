"""Prepared data to which new data are added."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import apache_beam as beam
import tensorflow as tf
from apache_beam.pvalue import AsSingleton, PCollection
from apache_beam.transforms import combiners

from tfrec_vis.data.checksum import file_sha256
from tfrec_vis.data.file_systems import load_file_system
from tfrec_vis.errors import InputError
from tfrec_vis.prepare.cuts import SPLITS
from tfrec_vis.prepare.items import Item
from tfrec_vis.prepare.rejects import Rejected
from tfrec_vis.prepare.settings import PrepareSettings
from tfrec_vis.prepare.validate import Row
from tfrec_vis.sources.source import Source

_SAME = ("image_size", "jpeg_quality")
_NEEDED = (
    "interactions",
    "items",
    "item_count",
    "item_features",
    "context_features",
    "has_labels",
    "cuts",
    "appended",
    "settings",
    "checksums",
)


class Previous:
    """The rows and items that a prepared folder holds.

    Its impressions are the merged rows of the log, apart from sampled ones; nothing else of the
    log is needed to prepare it anew together with what is added.

    Args:
        folder: prepared data.

    Raises:
        InputError: it is none, or of a version whose manifest says less.
    """

    def __init__(self, folder: str) -> None:
        load_file_system(folder)
        self.folder = folder
        path = tf.io.gfile.join(folder, "manifest.json")
        try:
            with tf.io.gfile.GFile(path, "rb") as file:
                text = file.read()
            self.manifest: dict[str, Any] = json.loads(text)
        except (tf.errors.OpError, ValueError) as error:
            raise InputError(
                f"{folder} holds no prepared data to append to; prepare without --append first"
            ) from error
        for key in _NEEDED:
            if key not in self.manifest:
                raise InputError(
                    f"{folder} was prepared by an older version (its manifest has no {key!r}), "
                    "nothing can be added to it; move it away and prepare all data again"
                )
        self._sha256 = hashlib.sha256(text).hexdigest()

    @property
    def lineage(self) -> list[str]:
        """SHA-256 of its manifest and, before it, of those to which data were added before."""
        return [*self.manifest.get("appended_to", []), self._sha256]

    @property
    def cuts(self) -> tuple[int, ...]:
        """Its cuts."""
        return tuple(self.manifest["cuts"])

    @property
    def appended(self) -> int:
        """How often data were added to it."""
        return self.manifest["appended"]

    @property
    def has_labels(self) -> bool:
        """Whether its log said what was not clicked."""
        return self.manifest["has_labels"]

    def check(self, source: Source, settings: PrepareSettings) -> None:
        """Whether data of this source can be added.

        Raises:
            InputError: features, labels or pictures are not of the same kind.
        """
        for kind, names in (
            ("item_features", source.item_features),
            ("context_features", source.context_features),
        ):
            if self.manifest[kind] != list(names):
                raise InputError(
                    f"{self.folder} has the {kind} {self.manifest[kind]}, the source "
                    f"{list(names)}; declare the same, or prepare without --append"
                )
        for name in _SAME:
            before, now = self.manifest["settings"][name], getattr(settings, name)
            if before != now:
                raise InputError(
                    f"{self.folder} was prepared with prepare.{name} {before}, not {now}; set it "
                    "so, or prepare without --append"
                )
        if self.has_labels != source.has_labels:
            raise InputError(
                f"{self.folder} comes from a log {'with' if self.has_labels else 'without'} labels "
                "(clicked), the source is of the other kind; prepare without --append"
            )

    def check_files(self, pipeline: beam.Pipeline) -> None:
        """Reads all files of the folder, in a pipeline of its own, before they are taken.

        The pipeline ends with an InputError where one is missing or not as it was written.
        """
        _ = (
            pipeline
            | "old files" >> beam.Create(list(self.manifest["checksums"].items()))
            | "check old files" >> beam.Map(_check_file, self.folder)
        )

    def items(self, pipeline: beam.Pipeline) -> PCollection[tuple[tuple, int]]:
        """Each item, with the picture as it is stored, and its item_index."""
        names = self.manifest["item_features"]
        return self._records(pipeline, "items") | "old items" >> beam.Map(_item, names)

    def rows(self, pipeline: beam.Pipeline) -> PCollection[tuple[str, tuple]]:
        """(user_id, row) of the log, without sampled rows."""
        names = (
            self._records(pipeline, "items", " once more")
            | "old numbers" >> beam.Map(_index_and_id)
            | "old names" >> combiners.ToDict()
        )
        found = [self._records(pipeline, f"impressions-{split}") for split in SPLITS]
        return (
            found
            | "old impressions" >> beam.Flatten()
            | "old rows"
            >> beam.FlatMap(
                _row, AsSingleton(names), self.manifest["context_features"], not self.has_labels
            )
        )

    def rejects(self, pipeline: beam.Pipeline, kind: str) -> PCollection[Rejected]:
        """What was rejected of "interactions" or "items"."""
        files = sorted(tf.io.gfile.glob(tf.io.gfile.join(self.folder, f"rejects-{kind}-*.jsonl")))
        return (
            pipeline
            | f"old rejects of {kind}" >> beam.Create(files)
            | f"read rejects of {kind}" >> beam.FlatMap(_read_rejects, kind)
        )

    def counts(self, pipeline: beam.Pipeline, kind: str, *names: str) -> PCollection:
        """Counts of "interactions" or "items" as they were, and of the rejected by reason."""
        fate = self.manifest[kind]
        rejected = fate["rejected"].items()
        counts: list[tuple[tuple[str, ...], tuple[int, None]]]
        counts = [((kind, name), (fate[name], None)) for name in names]
        counts += [((kind, "rejected", reason), (number, None)) for reason, number in rejected]
        return pipeline | f"old counts of {kind}" >> beam.Create(counts)

    def _records(self, pipeline: beam.Pipeline, stem: str, label: str = "") -> PCollection[bytes]:
        files = sorted(tf.io.gfile.glob(tf.io.gfile.join(self.folder, f"{stem}-*.tfrecord")))
        return (
            pipeline
            | f"old files of {stem}{label}" >> beam.Create(files)
            | f"read old {stem}{label}" >> beam.FlatMap(_read_records)
        )


def _check_file(file: tuple[str, str], folder: str) -> None:
    name, checksum = file
    path = tf.io.gfile.join(folder, name)
    load_file_system(path)
    try:
        fault = "" if file_sha256(path) == checksum else "is not as it was written"
    except tf.errors.OpError:
        fault = "is missing or cannot be read"
    if fault:
        raise InputError(
            f"{path} {fault}; restore it from a copy, or move {folder} away and prepare all data "
            "again"
        )


def _read_records(path: str) -> Iterator[bytes]:
    load_file_system(path)
    yield from tf.data.TFRecordDataset(path).as_numpy_iterator()


def _read_rejects(path: str, kind: str) -> Iterator[Rejected]:
    load_file_system(path)
    with tf.io.gfile.GFile(path, "rb") as file:
        for text in file:
            found = json.loads(text)
            line = str(found["line"])
            yield kind, found["source"], len(line), line, found["reason"], found["excerpt"]


def _item(record: bytes, names: list[str]) -> tuple[tuple, int]:
    values = tf.train.Example.FromString(record).features.feature
    item = Item(
        _text(values, "item_id"),
        values["image"].bytes_list.value[0],
        _text(values, "title"),
        _text(values, "category"),
        tuple(_text(values, name) for name in names),
        "",
    )
    return tuple(item), values["item_index"].int64_list.value[0]


def _index_and_id(record: bytes) -> tuple[int, str]:
    values = tf.train.Example.FromString(record).features.feature
    return values["item_index"].int64_list.value[0], _text(values, "item_id")


def _row(
    record: bytes, item_ids: Mapping[int, str], context: list[str], sampled: bool
) -> Iterator[tuple[str, tuple]]:
    values = tf.train.Example.FromString(record).features.feature
    clicked = values["clicked"].int64_list.value[0]
    if clicked or not sampled:
        row = Row(
            values["timestamp"].int64_list.value[0],
            _text(values, "page_id"),
            item_ids[values["item_index"].int64_list.value[0]],
            clicked,
            tuple(_text(values, name) for name in context),
        )
        yield _text(values, "user_id"), tuple(row)


def _text(values: Any, name: str) -> str:
    return values[name].bytes_list.value[0].decode()
