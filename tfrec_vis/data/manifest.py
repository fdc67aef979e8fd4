"""The manifest of prepared data, and reading whole record sets into columns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfrec_vis.data.records import FeatureSpec

_READ_BATCH = 4096


class PreparedDataError(ValueError):
    """A folder is not prepared data, or its files are damaged."""


def read_manifest(prepared: str | Path) -> dict[str, Any]:
    """Reads manifest.json of a prepared folder.

    Raises:
        PreparedDataError: there is none.
    """
    path = Path(prepared) / "manifest.json"
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise PreparedDataError(
            f"{prepared} is not prepared data (no readable manifest.json): "
            "run `tfrec-vis prepare RECIPE`, or name its output folder"
        ) from error


def read_columns(prepared: str | Path, pattern: str, spec: FeatureSpec) -> dict[str, Any]:
    """Reads all records of the shards that match, in file order.

    Returns:
        Per feature: an array [records], or for lists a ragged pair (values, row_splits).

    Raises:
        PreparedDataError: a shard is missing or damaged.
    """
    paths = sorted(str(p) for p in Path(prepared).glob(pattern))
    shards = read_manifest(prepared)["settings"]["shards"]
    if len(paths) != shards:
        raise PreparedDataError(
            f"{prepared}: of {pattern} there are {len(paths)} of {shards} shards: prepare it again"
        )
    batches: list[dict[str, Any]] = []
    for path in paths:
        parsed = (
            tf.data.TFRecordDataset(path)
            .batch(_READ_BATCH)
            .map(lambda records: tf.io.parse_example(records, spec))
        )
        try:
            batches.extend(parsed)
        except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
            raise PreparedDataError(
                f"{path} is damaged near record {_READ_BATCH * len(batches)}: prepare it again "
                f"({error.message.splitlines()[0]})"
            ) from error
    return {name: _concatenated([b[name] for b in batches], spec[name]) for name in spec}


def _concatenated(parts: list[Any], feature: Any) -> Any:
    if isinstance(feature, tf.io.RaggedFeature):
        if not parts:
            return np.empty(0, np.int64), np.zeros(1, np.int64)
        ragged = tf.concat(parts, axis=0)
        return ragged.values.numpy(), ragged.row_splits.numpy()
    empty = np.empty(0, feature.dtype.as_numpy_dtype)
    return np.concatenate([p.numpy() for p in parts]) if parts else empty


def padded(ragged: tuple[np.ndarray, np.ndarray], width: int, fill: int = 0) -> np.ndarray:
    """The first ``width`` entries of each row as int32 [rows, width], filled up with ``fill``."""
    values, splits = ragged
    lengths = np.minimum(np.diff(splits), width)
    columns = np.arange(width)
    inside = columns < lengths[:, None]
    result = np.full(inside.shape, fill, np.int32)
    result[inside] = values[(splits[:-1, None] + columns)[inside]]
    return result
