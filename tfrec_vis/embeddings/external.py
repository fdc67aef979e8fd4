"""Vectors that come from elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfrec_vis.errors import InputError


def read_external(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Reads item vectors from a Parquet file with columns item_id and embedding.

    Args:
        path: the file; ``embedding`` is a list or fixed-size list of floats, one length for all.

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
    item_id = np.array([str(i) for i in table["item_id"].to_pylist()], dtype=object)
    column = table["embedding"].combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else column.chunk(0)
    values = column.flatten().to_numpy(zero_copy_only=False).astype(np.float32)
    if len(item_id) == 0 or column.null_count or len(values) % len(item_id):
        raise InputError(f"{path}: column embedding is empty, has gaps or unequal lengths")
    if not np.isfinite(values).all():
        raise InputError(f"{path}: column embedding holds values that are not finite numbers")
    return item_id, values.reshape(len(item_id), -1)
