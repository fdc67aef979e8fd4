"""Vectors that come from elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tfrec_vis.errors import InputError


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
        table = pq.read_table(path, columns=["item_id", "embedding"])
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise InputError(
            f"{path}: expected a Parquet file with columns item_id and embedding ({error})"
        ) from error
    item_id = _texts(table["item_id"], path)
    if len(set(item_id)) != len(item_id):
        raise InputError(f"{path}: column item_id holds an id twice")
    column = table["embedding"]
    if not _is_list_of_floats(column.type):
        raise InputError(f"{path}: column embedding is {column.type}, expected lists of floats")
    widths = set() if column.null_count else set(_lengths(column).tolist())
    if len(widths) != 1 or widths == {0}:
        raise InputError(f"{path}: column embedding is empty, has gaps or unequal lengths")
    chunks = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in column.chunks]
    values = np.concatenate(chunks).astype(np.float32)
    if not np.isfinite(values).all():
        raise InputError(f"{path}: column embedding holds values that are not finite numbers")
    return item_id, values.reshape(len(item_id), -1)


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
    return vectors[[rows[item] for item in wanted]]


def _texts(column: pa.ChunkedArray, path: str | Path) -> np.ndarray:
    types, kind = pa.types, column.type
    if types.is_dictionary(kind):
        kind = kind.value_type
    if not (types.is_string(kind) or types.is_large_string(kind) or types.is_integer(kind)):
        raise InputError(f"{path}: column item_id is {column.type}, expected text")
    if column.null_count:
        raise InputError(f"{path}: column item_id has gaps")
    return np.array([str(item) for item in column.to_pylist()], dtype=object)


def _lengths(column: pa.ChunkedArray) -> np.ndarray:
    if pa.types.is_fixed_size_list(column.type):
        return np.full(len(column), column.type.list_size)
    return pc.list_value_length(column).to_numpy()


def _is_list_of_floats(kind: pa.DataType) -> bool:
    types = pa.types
    is_list = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return is_list and types.is_floating(kind.value_type)
