"""Reads safetensors files."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path

import numpy as np
import tensorflow as tf

_HEADER_LIMIT = 100_000_000
_DTYPES: dict[str, np.dtype] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype(tf.bfloat16.as_numpy_dtype),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}


def read_safetensors(path: str | Path) -> dict[str, np.ndarray]:
    """Reads a safetensors file: the length of a JSON header, the header, the numbers.

    Args:
        path: the file.

    Returns:
        Arrays by name.

    Raises:
        ValueError: not such a file, or a tensor reaches beyond it.

    Source: https://github.com/huggingface/safetensors#format.
    """
    data = Path(path).read_bytes()
    try:
        (length,) = struct.unpack_from("<Q", data)
        if length > min(_HEADER_LIMIT, len(data) - 8):
            raise ValueError(f"its header of {length} bytes is cut off")
        header = json.loads(data[8 : 8 + length])
        numbers = memoryview(data)[8 + length :]
        return {
            name: _tensor(numbers, entry["dtype"], entry["shape"], *entry["data_offsets"])
            for name, entry in header.items()
            if name != "__metadata__"
        }
    except (
        AttributeError,
        LookupError,
        OverflowError,
        RecursionError,
        TypeError,
        struct.error,
    ) as error:
        raise ValueError(f"{path}: not a safetensors file: {error!r}") from error
    except ValueError as error:
        raise ValueError(f"{path}: not a safetensors file: {error}") from error


def _tensor(data: memoryview, dtype: str, shape: list[int], begin: int, end: int) -> np.ndarray:
    kind = _DTYPES[dtype]
    if any(type(number) is not int for number in (*shape, begin, end)):
        raise ValueError(
            f"expected whole numbers as shape and offsets, got {shape}, {begin}, {end}"
        )
    fits = 0 <= begin <= end <= len(data) and min(shape, default=0) >= 0
    if not fits or end - begin != math.prod(shape) * kind.itemsize:
        raise ValueError(f"a tensor of shape {shape} reaches beyond its {len(data)} bytes")
    return np.frombuffer(data[begin:end], kind).reshape(shape)
