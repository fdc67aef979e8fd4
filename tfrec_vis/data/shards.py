"""Whole record sets into columns; a shard that is damaged is named, or left out when asked."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2

from tfrec_vis.data.checksum import file_sha256
from tfrec_vis.data.manifest import PreparedDataError, read_manifest
from tfrec_vis.data.records import FeatureSpec
from tfrec_vis.data.schema import find_misfit, read_schema

OnDamage = Literal["raise", "skip"]
_READ_BATCH = 1024
_MEND = "copy it again from where it is whole, or prepare it again"


class SkippedShardWarning(UserWarning):
    """Shards of prepared data were left out because they are damaged."""


@dataclass(frozen=True)
class Columns:
    """All records of a set.

    Attributes:
        values: per feature an array [records], or for lists a ragged pair (values, row_splits).
        skipped: names of the shards that were left out.
    """

    values: dict[str, Any]
    skipped: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Any:
        return self.values[name]


def read_columns(
    prepared: str | Path,
    stem: str,
    spec: FeatureSpec,
    records: int,
    on_damage: OnDamage = "raise",
) -> Columns:
    """Reads the shards of ``stem``, such as "items" or "impressions-train", in file order.

    Every record is checked against ``schema/KIND.pbtxt``. Where the records are not as many as
    there have to be, the files' checksums tell which was cut between two of them. A damaged shard
    is left out whole: what comes before the damage would be its users or items of one end of the
    sort order, while whole shards are random parts of the data.

    Args:
        prepared: folder that ``prepare`` wrote.
        stem: the files' name before the shard's number; its first word is the kind of record.
        spec: the columns to read.
        records: how many there have to be, as the manifest tells.
        on_damage: "raise", or "skip": warn and leave damaged shards out.

    Raises:
        PreparedDataError: a shard is missing, or is damaged and ``on_damage`` is "raise".
        ValueError: another ``on_damage``.
    """
    if on_damage not in ("raise", "skip"):
        raise ValueError(f'expected on_damage "raise" or "skip", got {on_damage!r}')
    paths = sorted(Path(prepared).glob(f"{stem}-*.tfrecord"))
    manifest = read_manifest(prepared)
    shards = manifest["settings"]["shards"]
    if len(paths) != shards:
        raise PreparedDataError(
            f"{prepared}: of {stem}-*.tfrecord there are {len(paths)} of {shards} shards: "
            "prepare it again"
        )
    schema = read_schema(prepared, stem.split("-")[0])
    read: dict[Path, list[dict[str, Any]]] = {}
    problems: dict[str, str] = {}
    for path in paths:
        try:
            read[path] = _read_shard(path, spec, schema)
        except PreparedDataError as error:
            if on_damage == "raise":
                raise
            problems[path.name] = str(error)
    if _count(read.values()) != records:
        for path, problem in _exchanged(read, manifest["checksums"]).items():
            if on_damage == "raise":
                raise PreparedDataError(problem)
            problems[path.name] = problem
            del read[path]
    parts = [part for path in read for part in read[path]]
    values = {name: _concatenated([p[name] for p in parts], spec[name]) for name in spec}
    found = _count(read.values())
    if problems:
        warnings.warn(
            f"{len(problems)} of {shards} shards and {records - found} of {records} records of "
            f"{stem} are left out: {'; '.join(problems[name] for name in sorted(problems))}",
            SkippedShardWarning,
            stacklevel=3,
        )
    elif found != records:
        raise PreparedDataError(
            f"{prepared}: {stem}-*.tfrecord hold {found} records, the manifest says {records}: "
            f"manifest.json was exchanged; {_MEND}"
        )
    return Columns(values, tuple(sorted(problems)))


def _count(shards: Iterable[list[dict[str, Any]]]) -> int:
    """Records of all the shards' batches."""
    return sum(
        len(part["timestamp" if "timestamp" in part else "item_index"])
        for shard in shards
        for part in shard
    )


def _exchanged(paths: Iterable[Path], checksums: Mapping[str, str]) -> dict[Path, str]:
    """What is wrong with those files that can be read, but are not as they were written."""
    return {
        path: f"{path} is damaged: its checksum is not the manifest's, a record's end cut it "
        f"short or it was exchanged: {_MEND}"
        for path in paths
        if file_sha256(str(path)) != checksums.get(path.name)
    }


def _read_shard(path: Path, spec: FeatureSpec, schema: schema_pb2.Schema) -> list[dict[str, Any]]:
    """The batches of one shard; raises for the first record that is damaged or does not fit."""
    parts: list[dict[str, Any]] = []
    for part in checked_batches(path, spec):
        misfit = find_misfit(part, schema)
        if misfit:
            record, name, problem = misfit
            _raise(path, len(parts) * _READ_BATCH + record, f"feature {name}: {problem}")
        parts.append(part)
    return parts


def checked_batches(path: Path, spec: FeatureSpec) -> Iterator[dict[str, Any]]:
    """``parsed_batches``; raises PreparedDataError for the first record that is damaged."""
    try:
        yield from parsed_batches(str(path), spec)
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError):
        _locate(path, spec)
        raise


def parsed_batches(path: str, spec: FeatureSpec) -> Iterator[dict[str, Any]]:
    """The records of one file in batches: per feature an array, or (values, row_splits)."""
    for serialized in tf.data.TFRecordDataset(path).batch(_READ_BATCH):
        yield {
            name: (column.values.numpy(), column.row_splits.numpy())
            if isinstance(column, tf.RaggedTensor)
            else column.numpy()
            for name, column in tf.io.parse_example(serialized, spec).items()
        }


def _locate(path: Path, spec: FeatureSpec) -> None:
    """Raises for the first record that cannot be read or parsed, by going one by one."""
    record = 0
    try:
        for serialized in tf.data.TFRecordDataset(str(path)):
            tf.io.parse_example(serialized[None], spec)
            record += 1
    except tf.errors.DataLossError as error:
        _raise(path, record, error.message.splitlines()[0].split(" [Op")[0], error)
    except tf.errors.InvalidArgumentError as error:
        name = re.search(r"(?:Feature|Key|key): (\w+)", error.message)
        problem = error.message.splitlines()[0]
        _raise(path, record, f"feature {name[1]}: {problem}" if name else problem, error)


def _raise(path: Path, record: int, problem: str, cause: Exception | None = None) -> None:
    message = f"{path} is damaged at record {record} (counted from 0): {problem}: {_MEND}"
    raise PreparedDataError(message) from cause


def _concatenated(parts: list[Any], feature: Any) -> Any:
    if isinstance(feature, tf.io.RaggedFeature):
        lengths = [np.diff(splits) for _, splits in parts]
        splits = np.cumsum(np.concatenate([np.zeros(1, np.int64), *lengths]))
        return np.concatenate([np.empty(0, np.int64), *(values for values, _ in parts)]), splits
    return np.concatenate([np.empty(0, feature.dtype.as_numpy_dtype), *parts])


def padded(ragged: tuple[np.ndarray, np.ndarray], width: int, fill: int = 0) -> np.ndarray:
    """The first ``width`` entries of each row as int32 [rows, width], filled up with ``fill``."""
    values, splits = ragged
    lengths = np.minimum(np.diff(splits), width)
    columns = np.arange(width)
    inside = columns < lengths[:, None]
    result = np.full(inside.shape, fill, np.int32)
    result[inside] = values[(splits[:-1, None] + columns)[inside]]
    return result
