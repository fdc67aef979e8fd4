"""Vectors that come from elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tfrec_vis.errors import InputError

_BATCH = 65_536
"""Rows read at once."""


def read_external(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Reads item vectors from a Parquet file with columns item_id and embedding.

    Args:
        path: the file; ``item_id`` is text (whole numbers are taken as text), ``embedding`` a
            list or fixed-size list of floats, one length for all. Other columns are left alone.

    Returns:
        (item_id str object [n], vectors float32 [n, d]), as they stand in the file.

    Raises:
        InputError: no such file, a missing column, a missing value, or unequal lengths.
    """
    try:
        with pq.ParquetFile(path) as file:
            kind = file.schema_arrow.field("embedding").type
            item_id = _texts(file.read(["item_id"])["item_id"], path)
            if len(set(item_id)) != len(item_id):
                raise InputError(f"{path}: column item_id holds an id twice")
            if not _is_list_of_floats(kind):
                raise InputError(f"{path}: column embedding is {kind}, expected lists of floats")
            return item_id, _vectors(file, len(item_id), path)
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise InputError(
            f"{path}: expected a Parquet file with columns item_id and embedding ({error})"
        ) from error


def vectors_of(path: str | Path, wanted: np.ndarray) -> np.ndarray:
    """Vectors of a Parquet file as ``read_external`` reads it, for given items.

    Args:
        path: the file; it may hold more items.
        wanted: item_id, str object [n].

    Returns:
        float32 [n, d].

    Raises:
        InputError: as ``read_external``, or an item has no vector.
    """
    item_id, vectors = read_external(path)
    rows = {item: row for row, item in enumerate(item_id)}
    missing = [item for item in wanted if item not in rows]
    if missing:
        raise InputError(
            f"{path}: no vector for {len(missing)} of {len(wanted)} items, such as "
            f"{missing[0]!r} (the file has ids such as {item_id[0]!r}); ids are text, with their "
            "zeros, and every item of the catalogue needs a vector"
        )
    order = np.array([rows[item] for item in wanted], np.int64)
    is_whole = len(order) == len(vectors) and (order == np.arange(len(order))).all()
    return vectors if is_whole else vectors[order]


def _vectors(file: pq.ParquetFile, count: int, path: str | Path) -> np.ndarray:
    """The column embedding as float32 [count, d], filled batch by batch."""
    vectors: np.ndarray | None = None
    row = 0
    for batch in file.iter_batches(_BATCH, columns=["embedding"]):
        column = batch["embedding"]
        widths = set() if column.null_count else set(_lengths(column).tolist())
        widths |= {vectors.shape[1]} if vectors is not None else set()
        if len(widths) != 1 or widths == {0}:
            break
        values = column.flatten().to_numpy(zero_copy_only=False)
        if not np.isfinite(values).all():
            raise InputError(f"{path}: column embedding holds values that are not finite numbers")
        if vectors is None:
            vectors = np.empty([count, *widths], np.float32)
        vectors[row : row + len(column)] = values.reshape(len(column), -1)
        row += len(column)
    if vectors is None or row != count:
        raise InputError(f"{path}: column embedding is empty, has gaps or unequal lengths")
    return vectors


def _texts(column: pa.ChunkedArray, path: str | Path) -> np.ndarray:
    types, kind = pa.types, column.type
    if types.is_dictionary(kind):
        kind = kind.value_type
    if not (types.is_string(kind) or types.is_large_string(kind) or types.is_integer(kind)):
        raise InputError(f"{path}: column item_id is {column.type}, expected text")
    if column.null_count:
        raise InputError(f"{path}: column item_id has gaps")
    return np.array([str(item) for item in column.to_pylist()], dtype=object)


def _lengths(column: pa.Array) -> np.ndarray:
    if pa.types.is_fixed_size_list(column.type):
        return np.full(len(column), column.type.list_size)
    return pc.list_value_length(column).to_numpy()


def _is_list_of_floats(kind: pa.DataType) -> bool:
    types = pa.types
    is_list = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return is_list and types.is_floating(kind.value_type)
