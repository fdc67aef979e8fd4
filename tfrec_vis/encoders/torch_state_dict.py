"""Reads weights that PyTorch saved, without PyTorch and without running what is in them."""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, BinaryIO, ClassVar

import numpy as np
import tensorflow as tf

_MAGIC = 0x1950A86A20F9469CFC6C
# What reading a damaged pickle or zip, or one of something else, can raise.
_DAMAGE = (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    struct.error,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OverflowError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
)
_OPCODES = {ord(opcode.code) for opcode in pickletools.opcodes if opcode.proto <= 2}
_DTYPES: dict[str, np.dtype] = {
    "FloatStorage": np.dtype("<f4"),
    "DoubleStorage": np.dtype("<f8"),
    "HalfStorage": np.dtype("<f2"),
    "BFloat16Storage": np.dtype(tf.bfloat16.as_numpy_dtype),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
}


class _Unfit(pickle.UnpicklingError):
    """What is read is no state dict, for the reason that the message gives."""


def read_torch_state_dict(path: str | Path) -> dict[str, np.ndarray]:
    """Reads a state dict in either of PyTorch's formats: a zip, or a stream (before 1.6).

    Only what a plain state dict needs can be named by the file: an ordered dictionary and
    tensors over storages of numbers. Anything else is refused, nothing of it is called. A state
    dict under the key "model" or "state_dict" of a checkpoint is found. The arrays are views of
    what was read: the file's size bounds the memory.

    Args:
        path: the .pth file.

    Returns:
        Arrays by parameter name.

    Raises:
        ValueError: not such a file, or it holds something else than numbers.
    """
    with open(path, "rb") as stream:
        try:
            zipped = stream.read(4) == b"PK\x03\x04"
            stream.seek(0)
            return _arrays(_read_zip(stream) if zipped else _read_stream(stream))
        except _DAMAGE as error:
            # The words of pickle and zipfile say nothing to who has the wrong file.
            reason = error if isinstance(error, _Unfit) else "damaged, or a file of another kind"
            raise ValueError(f"{path}: not a state dict of PyTorch: {reason}") from error


def _read_stream(stream: BinaryIO) -> Any:
    if _Unpickler(stream).load() != _MAGIC:
        raise _Unfit("the magic number is missing")
    _Unpickler(stream).load()  # protocol version
    _Unpickler(stream).load()  # sizes of integers on the writing machine
    unpickler = _Unpickler(stream)
    saved = unpickler.load()
    for key in _Unpickler(stream).load():
        storage = unpickler.storages[key]
        (count,) = struct.unpack("<q", stream.read(8))
        storage.fill(stream, count)
    return saved


def _read_zip(stream: BinaryIO) -> Any:
    with zipfile.ZipFile(stream) as archive:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise _Unfit("its zip is compressed, which PyTorch's are not")
        if sum(e.file_size for e in archive.infolist()) > stream.seek(0, io.SEEK_END):
            raise _Unfit("its zip holds more than the file has bytes")
        (pickled,) = (n for n in archive.namelist() if n.split("/")[1:] == ["data.pkl"])
        folder = pickled.removesuffix("data.pkl")
        order = f"{folder}byteorder"
        if order in archive.namelist() and archive.read(order) != b"little":
            raise _Unfit("its numbers are big-endian")
        unpickler = _Unpickler(io.BytesIO(archive.read(pickled)))
        saved = unpickler.load()
        for key, storage in unpickler.storages.items():
            name = f"{folder}data/{key}"
            try:
                entry = archive.getinfo(name)
            except KeyError as error:
                raise _Unfit(f"its zip lacks {name}") from error
            with archive.open(entry) as data:
                storage.fill(data, entry.file_size // storage.dtype.itemsize)
    return saved


def _arrays(saved: Any) -> dict[str, np.ndarray]:
    if not isinstance(saved, dict):
        raise _Unfit(f"it holds a {type(saved).__name__}")
    for key in ("model", "state_dict"):
        if isinstance(saved.get(key), dict):
            saved = saved[key]
    arrays = {name: value.array() for name, value in saved.items() if isinstance(value, _Tensor)}
    if not all(isinstance(name, str) for name in arrays):
        raise _Unfit("its tensors have no names")
    return arrays


class _Unpickled:
    """What a file can make; it can change nothing of it afterwards."""

    def __setstate__(self, state: Any) -> None:
        raise _Unfit("it changes a tensor's own attributes")


class _Storage(_Unpickled):
    """A flat run of numbers, filled after the pickle has been read."""

    def __init__(self, dtype: np.dtype) -> None:
        self.dtype = dtype
        self.values = np.empty(0, dtype)

    def fill(self, stream: IO[bytes], count: int) -> None:
        here = stream.tell()
        room = stream.seek(0, io.SEEK_END) - here
        stream.seek(here)
        size = count * self.dtype.itemsize
        if not 0 <= size <= room:
            raise _Unfit(f"a storage of {count} numbers is cut off")
        self.values = np.frombuffer(stream.read(size), self.dtype, count)


class _Tensor(_Unpickled):
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
        count = math.prod(self.size)
        last = self.offset + sum((n - 1) * s for n, s in zip(self.size, self.stride, strict=True))
        negative = min(self.offset, *self.size, *self.stride, 0) < 0
        if negative or count > len(values) or (count and last >= len(values)):
            raise _Unfit("a tensor reaches beyond its storage")
        if not count:
            return np.empty(self.size, values.dtype)
        strides = tuple(s * self.storage.dtype.itemsize for s in self.stride)
        return np.lib.stride_tricks.as_strided(
            values[self.offset :], self.size, strides, writeable=False
        )


class _Parameter(_Unpickled):
    """A trained parameter is its tensor; a class, which a file cannot change, as a function."""

    def __new__(cls, tensor: _Tensor, *_: Any) -> Any:
        return tensor


class _Unpickler(pickle._Unpickler):
    """An unpickler that knows state dicts and nothing else.

    Of the unpicklers it is the one in Python, whose memory does not depend on the numbers in a
    file; and it knows the opcodes of PyTorch's protocol alone, none of which reserves memory.
    """

    dispatch: ClassVar[dict[int, Any]] = {
        code: load for code, load in pickle._Unpickler.dispatch.items() if code in _OPCODES
    }

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(stream)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Callable[..., Any] | str:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _Tensor
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return _Parameter
        if module == "torch" and name in _DTYPES:
            return name
        raise _Unfit(f"it names {module}.{name}, which a state dict has no need of")

    def persistent_load(self, reference: tuple[Any, ...]) -> _Storage:
        kind, storage_type, key = reference[:3]
        if kind != "storage":
            raise _Unfit(f"it refers to a {kind!r}")
        return self.storages.setdefault(key, _Storage(_DTYPES[storage_type]))
