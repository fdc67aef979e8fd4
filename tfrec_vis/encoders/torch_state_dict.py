"""Reads weights that PyTorch saved, without PyTorch and without running what is in them."""

from __future__ import annotations

import io
import pickle
import struct
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

_MAGIC = 0x1950A86A20F9469CFC6C
# What reading a damaged pickle, or one of something else, can raise.
_DAMAGE = (
    pickle.UnpicklingError,
    struct.error,
    AttributeError,
    EOFError,
    LookupError,
    TypeError,
    ValueError,
)
_DTYPES: dict[str, np.dtype] = {
    "FloatStorage": np.dtype("<f4"),
    "DoubleStorage": np.dtype("<f8"),
    "HalfStorage": np.dtype("<f2"),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
}


def read_torch_state_dict(path: str | Path) -> dict[str, np.ndarray]:
    """Reads a state dict in PyTorch's stream format (before 1.6: one file, not a zip).

    Only what a plain state dict needs can be named by the file: an ordered dictionary and
    tensors over storages of numbers. Anything else is refused, nothing of it is called.

    Args:
        path: the .pth file.

    Returns:
        Arrays by parameter name.

    Raises:
        ValueError: not such a file, or it holds something else than numbers.
    """
    with open(path, "rb") as stream:
        try:
            return _read(stream)
        except _DAMAGE as error:
            raise ValueError(
                f"{path}: not a state dict in PyTorch's stream format: {error}"
            ) from error


def _read(stream: BinaryIO) -> dict[str, np.ndarray]:
    if _Unpickler(stream).load() != _MAGIC:
        raise pickle.UnpicklingError("the magic number is missing")
    _Unpickler(stream).load()  # protocol version
    _Unpickler(stream).load()  # sizes of integers on the writing machine
    unpickler = _Unpickler(stream)
    tensors = unpickler.load()
    for key in _Unpickler(stream).load():
        storage = unpickler.storages[key]
        (count,) = struct.unpack("<q", stream.read(8))
        data = stream.read(count * storage.dtype.itemsize)
        storage.values = np.frombuffer(data, storage.dtype, count)
    return {name: tensor.array() for name, tensor in tensors.items() if isinstance(tensor, _Tensor)}


class _Storage:
    """A flat run of numbers, filled after the pickle has been read."""

    def __init__(self, dtype: np.dtype) -> None:
        self.dtype = dtype
        self.values = np.empty(0, dtype)


class _Tensor:
    """A strided view of a storage."""

    def __init__(
        self,
        storage: _Storage,
        offset: int,
        size: tuple[int, ...],
        stride: tuple[int, ...],
        *_: Any,
    ) -> None:
        self.storage, self.offset, self.size, self.stride = storage, offset, size, stride

    def array(self) -> np.ndarray:
        values = self.storage.values
        last = self.offset + sum((n - 1) * s for n, s in zip(self.size, self.stride, strict=True))
        if self.offset < 0 or min(self.stride, default=0) < 0 or last >= max(len(values), 1):
            raise pickle.UnpicklingError("a tensor reaches beyond its storage")
        strides = tuple(s * self.storage.dtype.itemsize for s in self.stride)
        return np.lib.stride_tricks.as_strided(values[self.offset :], self.size, strides).copy()


class _Unpickler(pickle.Unpickler):
    """An unpickler that knows state dicts and nothing else."""

    def __init__(self, stream: io.BufferedIOBase | BinaryIO) -> None:
        super().__init__(stream)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Callable[..., Any] | str:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _Tensor
        if module == "torch" and name in _DTYPES:
            return name
        raise pickle.UnpicklingError(f"it names {module}.{name}, which a state dict has no need of")

    def persistent_load(self, reference: tuple[Any, ...]) -> _Storage:
        kind, storage_type, key = reference[:3]
        if kind != "storage":
            raise pickle.UnpicklingError(f"it refers to a {kind!r}")
        return self.storages.setdefault(key, _Storage(_DTYPES[storage_type]))
