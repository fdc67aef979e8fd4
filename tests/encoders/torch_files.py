"""Weights files as PyTorch and safetensors write them, without either."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from collections import OrderedDict

import numpy as np

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


class Global:
    """Pickles as the call of a global by name, whatever is installed here."""

    def __init__(self, module, name, *arguments):
        self.module, self.name, self.arguments = module, name, arguments


class Storage:
    def __init__(self, kind, key, values):
        self.kind, self.key, self.values = kind, key, values


class Tensor:
    def __init__(self, storage, offset, size, stride):
        self.storage, self.offset, self.size, self.stride = storage, offset, size, stride


def stream(tensors, storages=(), keys=None):
    """A file in PyTorch's format before 1.6, written opcode by opcode where pickle cannot."""
    out = io.BytesIO()
    for header in (MAGIC, PROTOCOL, {"little_endian": True}):
        pickle.dump(header, out, protocol=2)
    out.write(pickled(tensors))
    pickle.dump([s.key for s in storages] if keys is None else keys, out, protocol=2)
    for storage in storages:
        out.write(struct.pack("<q", len(storage.values)) + storage.values.tobytes())
    return out.getvalue()


def zipped(tensors, storages=(), keys=None, compression=zipfile.ZIP_STORED, byteorder="little"):
    """The same in the format since 1.6."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        archive.writestr("weights/data.pkl", pickled(tensors))
        archive.writestr("weights/byteorder", byteorder)
        for key, storage in zip(keys or [s.key for s in storages], storages, strict=True):
            archive.writestr(f"weights/data/{key}", storage.values.tobytes())
        archive.writestr("weights/version", "3\n")
    return out.getvalue()


def safetensors(tensors, dtypes=None, **header):
    """A safetensors file of arrays by name."""
    entries, data = dict(header), b""
    for name, array in tensors.items():
        end = len(data) + array.nbytes
        dtype = (dtypes or {}).get(name, "F32")
        entries[name] = {
            "dtype": dtype,
            "shape": list(array.shape),
            "data_offsets": [len(data), end],
        }
        data += array.tobytes()
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text + data


def plain(arrays):
    """Tensors and storages of float arrays by name, for ``stream`` and ``zipped``."""
    tensors, storages = OrderedDict(), []
    for number, (name, array) in enumerate(arrays.items()):
        storage = Storage("FloatStorage", str(number), np.ascontiguousarray(array, "<f4"))
        stride = tuple(s // 4 for s in storage.values.strides)
        tensors[name] = Tensor(storage, 0, array.shape, stride)
        storages.append(Storage("FloatStorage", str(number), storage.values.ravel()))
    return tensors, storages


def pickled(tensors):
    out = b"\x80\x02ccollections\nOrderedDict\n)R("
    for name, value in tensors.items():
        out += _text(name) + (value if isinstance(value, bytes) else pickled_value(value))
    return out + b"u."


def _text(text):
    data = text.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def _numbers(numbers):
    return b"(" + b"".join(b"J" + struct.pack("<i", n) for n in numbers) + b"t"


def pickled_value(value):
    if isinstance(value, Tensor):
        storage = value.storage
        reference = b"(" + _text("storage") + f"ctorch\n{storage.kind}\n".encode()
        reference += _text(storage.key) + _text("cpu") + b"J" + struct.pack("<i", 0) + b"NtQ"
        arguments = reference + b"J" + struct.pack("<i", value.offset)
        arguments += _numbers(value.size) + _numbers(value.stride) + b"\x89"
        arguments += b"ccollections\nOrderedDict\n)R"
        return b"ctorch._utils\n_rebuild_tensor_v2\n(" + arguments + b"tR"
    arguments = b"(" + b"".join(_text(a) for a in value.arguments) + b"t"
    return f"c{value.module}\n{value.name}\n".encode() + arguments + b"R"
