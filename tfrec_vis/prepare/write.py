"""Files of the prepared folder: records and lines in an order that depends on them alone."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf

Value = int | str | bytes | Sequence[int]


def example(values: Mapping[str, Value]) -> bytes:
    """A serialized tf.train.Example; integers and lists of them as int64, the rest as bytes."""
    record = tf.train.Example()
    features = record.features.feature
    for name, value in values.items():
        if isinstance(value, str):
            features[name].bytes_list.value.append(value.encode())
        elif isinstance(value, bytes):
            features[name].bytes_list.value.append(value)
        elif isinstance(value, int):
            features[name].int64_list.value.append(value)
        else:
            features[name].int64_list.value.extend(value)
    return record.SerializeToString(deterministic=True)


def shard_name(stem: str, suffix: str, shard: int, shards: int) -> str:
    """Such as ``items-00000-of-00004.tfrecord``."""
    return f"{stem}-{shard:05d}-of-{shards:05d}.{suffix}"


def write_records(path: str, records: Iterable[bytes]) -> None:
    """Writes a TFRecord file."""
    _replace(path, lambda part: _write_tfrecord(part, records))


def write_text(path: str, text: str) -> None:
    """Writes a UTF-8 file."""
    _replace(path, lambda part: _write_bytes(part, text.encode()))


def write_json(path: str, value: Any) -> None:
    """Writes readable JSON, keys in the order given."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def vocabulary_text(values: Iterable[str]) -> str:
    r"""Sorted distinct values, one a line; backslash, newline and return as \\, \n and \r."""
    return "".join(_escape(value) + "\n" for value in sorted(set(values)))


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")


def _replace(path: str, write: Callable[[str], None]) -> None:
    """Writes beside and renames: a worker that tries again leaves one whole file."""
    part = f"{path}.{os.getpid()}.part"
    write(part)
    tf.io.gfile.rename(part, path, overwrite=True)


def _write_tfrecord(path: str, records: Iterable[bytes]) -> None:
    with tf.io.TFRecordWriter(path) as writer:
        for record in records:
            writer.write(record)


def _write_bytes(path: str, content: bytes) -> None:
    with tf.io.gfile.GFile(path, "wb") as file:
        file.write(content)
