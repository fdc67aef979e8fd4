from __future__ import annotations

import io
import os
import pickle
import struct
from collections import OrderedDict

import numpy as np
import pytest

from tfrec_vis.encoders import read_torch_state_dict

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
    out.write(b"\x80\x02")
    out.write(b"ccollections\nOrderedDict\n)R(")
    for name, value in tensors.items():
        out.write(_text(name) + _value(value))
    out.write(b"u.")
    pickle.dump([s.key for s in storages] if keys is None else keys, out, protocol=2)
    for storage in storages:
        out.write(struct.pack("<q", len(storage.values)) + storage.values.tobytes())
    return out.getvalue()


def _text(text):
    data = text.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def _numbers(numbers):
    return b"(" + b"".join(b"J" + struct.pack("<i", n) for n in numbers) + b"t"


def _value(value):
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


@pytest.fixture
def write(tmp_path):
    def write(data):
        path = tmp_path / "weights.pth"
        path.write_bytes(data)
        return path

    return write


def test_reads_tensors(write):
    floats = Storage("FloatStorage", "a", np.arange(24, dtype="<f4"))
    longs = Storage("LongStorage", "b", np.array([7], "<i8"))
    tensors = OrderedDict(
        plain=Tensor(floats, 0, (2, 3, 4), (12, 4, 1)),
        transposed=Tensor(floats, 4, (4, 3), (1, 4)),
        count=Tensor(longs, 0, (), ()),
    )
    state = read_torch_state_dict(write(stream(tensors, [floats, longs])))
    assert list(state) == ["plain", "transposed", "count"]
    np.testing.assert_array_equal(state["plain"], np.arange(24).reshape(2, 3, 4))
    np.testing.assert_array_equal(state["transposed"], np.arange(4, 16).reshape(3, 4).T)
    assert state["count"].shape == () and state["count"] == 7
    assert state["plain"].dtype == np.float32 and state["count"].dtype == np.int64


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        (os.system.__module__, "system"),
        ("builtins", "eval"),
        ("builtins", "getattr"),
        ("collections", "Counter"),
        ("torch", "load"),
        ("numpy", "load"),
    ],
)
def test_refuses_to_call_anything_else(write, tmp_path, module, name):
    trace = tmp_path / "called"
    path = write(stream({"weight": Global(module, name, f"touch {trace}")}))
    with pytest.raises(ValueError, match=f"it names {module}.{name}, which a state dict has no"):
        read_torch_state_dict(path)
    assert not trace.exists()


def test_the_refused_file_is_a_working_attack(write, tmp_path):
    """Plain pickle would run it: the test above refuses what is dangerous."""
    trace = tmp_path / "called"
    with open(write(stream({"weight": Global("os", "system", f"touch {trace}")})), "rb") as file:
        for _ in range(4):
            pickle.load(file)
    assert trace.exists()


@pytest.mark.parametrize(
    "offset, size, stride",
    [
        (0, (3, 3), (3, 1)),
        (-1, (2,), (1,)),
        (8, (1,), (1,)),
        (2, (3,), (-1,)),
        (0, (2**30, 2**30), (2**30, 2**30)),
    ],
)
def test_refuses_a_tensor_beyond_its_storage(write, offset, size, stride):
    floats = Storage("FloatStorage", "a", np.arange(8, dtype="<f4"))
    path = write(stream({"weight": Tensor(floats, offset, size, stride)}, [floats]))
    with pytest.raises(ValueError, match="beyond its storage"):
        read_torch_state_dict(path)


def test_refuses_a_truncated_file_at_any_byte(write):
    floats = Storage("FloatStorage", "a", np.arange(6, dtype="<f4"))
    whole = stream({"weight": Tensor(floats, 0, (2, 3), (3, 1))}, [floats])
    assert list(read_torch_state_dict(write(whole))) == ["weight"]
    for length in range(len(whole)):
        with pytest.raises(ValueError, match="weights.pth"):
            read_torch_state_dict(write(whole[:length]))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\x03\x04 a zip, as PyTorch writes them now",
        b"not a pickle",
        pickle.dumps({"weight": [1.0]}),
        pickle.dumps(MAGIC, 2) + pickle.dumps(1001, 2) + pickle.dumps({}, 2) + pickle.dumps([1], 2),
        stream({}, keys=["unknown"]),
    ],
)
def test_refuses_other_files(write, data):
    with pytest.raises(ValueError, match="weights.pth"):
        read_torch_state_dict(write(data))
