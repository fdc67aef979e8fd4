"""Files of the prepared folder: records and lines in an order that depends on them alone."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from tfrec_vis.data.checksum import file_sha256
from tfrec_vis.data.file_systems import load_file_system

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


def write_records(path: str, records: Iterable[bytes]) -> str:
    """Writes a TFRecord file; gives its SHA-256, as all that write here."""
    return _replace(path, lambda part: _write_tfrecord(part, records))


def write_text(path: str, text: str) -> str:
    """Writes a UTF-8 file."""
    return write_lines(path, [text])


def write_lines(path: str, lines: Iterable[str]) -> str:
    """Writes a UTF-8 file of lines, which end in newlines."""
    return _replace(path, lambda part: _write_bytes(part, (line.encode() for line in lines)))


def write_json(path: str, value: Any) -> None:
    """Writes readable JSON, keys in the order given."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def vocabulary_line(value: str) -> str:
    r"""The value with its newline; backslash, newline and return within as \\, \n and \r."""
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r") + "\n"


def _replace(path: str, write: Callable[[str], None]) -> str:
    """Writes beside and renames: a worker that tries again leaves one whole file."""
    load_file_system(path)  # a worker may not have met it yet
    folder, name = os.path.split(path)
    part = tf.io.gfile.join(folder, f".{name}.{uuid.uuid4().hex}")  # hidden: not in the manifest
    write(part)
    checksum = file_sha256(part)
    tf.io.gfile.rename(part, path, overwrite=True)
    return checksum


def _write_tfrecord(path: str, records: Iterable[bytes]) -> None:
    with tf.io.TFRecordWriter(path) as writer:
        for record in records:
            writer.write(record)


def _write_bytes(path: str, parts: Iterable[bytes]) -> None:
    with tf.io.gfile.GFile(path, "wb") as file:
        for part in parts:
            file.write(part)
