from __future__ import annotations

import io
import os
import pickle
import struct
import tracemalloc
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
from torch_files import MAGIC, Global, Storage, Tensor, pickled, pickled_value, stream, zipped

from tfrec_vis.encoders import read_torch_state_dict


@pytest.fixture
def write(tmp_path):
    def write(data):
        path = tmp_path / "weights.pth"
        path.write_bytes(data)
        return path

    return write


@pytest.mark.parametrize("form", [stream, zipped])
def test_reads_tensors(write, form):
    floats = Storage("FloatStorage", "a", np.arange(24, dtype="<f4"))
    longs = Storage("LongStorage", "b", np.array([7], "<i8"))
    tensors = OrderedDict(
        plain=Tensor(floats, 0, (2, 3, 4), (12, 4, 1)),
        transposed=Tensor(floats, 4, (4, 3), (1, 4)),
        count=Tensor(longs, 0, (), ()),
    )
    state = read_torch_state_dict(write(form(tensors, [floats, longs])))
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
@pytest.mark.parametrize("form", [stream, zipped])
def test_refuses_to_call_anything_else(write, tmp_path, form, module, name):
    trace = tmp_path / "called"
    path = write(form({"weight": Global(module, name, f"touch {trace}")}))
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
        (0, (2**30, 2**30), (0, 0)),
        (0, (-2, -2), (1, 1)),
    ],
)
@pytest.mark.parametrize("form", [stream, zipped])
def test_refuses_a_tensor_beyond_its_storage(write, form, offset, size, stride):
    floats = Storage("FloatStorage", "a", np.arange(8, dtype="<f4"))
    path = write(form({"weight": Tensor(floats, offset, size, stride)}, [floats]))
    with pytest.raises(ValueError, match="beyond its storage"):
        read_torch_state_dict(path)


@pytest.mark.parametrize("size", [(), (1,)])
def test_refuses_a_number_of_an_empty_storage(write, size):
    floats = Storage("FloatStorage", "a", np.empty(0, "<f4"))
    path = write(stream({"weight": Tensor(floats, 0, size, size)}, [floats]))
    with pytest.raises(ValueError, match="beyond its storage"):
        read_torch_state_dict(path)


def test_reads_an_empty_tensor(write):
    floats = Storage("FloatStorage", "a", np.empty(0, "<f4"))
    state = read_torch_state_dict(write(stream({"w": Tensor(floats, 0, (0, 3), (3, 1))}, [floats])))
    assert state["w"].shape == (0, 3)


def test_reads_bfloat16_and_parameters(write):
    """A parameter is pickled as the call of a function on its tensor."""
    bits = np.array([0x3F80, 0xC020], "<u2")  # 1 and -2.5
    storage = Storage("BFloat16Storage", "a", bits)
    tensor = Tensor(storage, 0, (2,), (1,))
    parameter = b"ctorch._utils\n_rebuild_parameter\n(" + pickled_value(tensor) + b"\x88NtR"
    state = read_torch_state_dict(write(zipped({"w": tensor, "p": parameter}, [storage])))
    np.testing.assert_array_equal(state["w"].astype(np.float32), [1, -2.5])
    np.testing.assert_array_equal(state["p"].astype(np.float32), [1, -2.5])


@pytest.mark.parametrize("key", ["model", "state_dict"])
def test_finds_the_state_dict_of_a_checkpoint(write, key):
    floats = Storage("FloatStorage", "0", np.arange(2, dtype="<f4"))
    inner = pickled({"weight": Tensor(floats, 0, (2,), (1,))})[2:-1]  # no header, no stop
    state = read_torch_state_dict(write(zipped({key: inner}, [floats])))
    np.testing.assert_array_equal(state["weight"], [0, 1])


@pytest.mark.parametrize("state", [b"}(X\x06\x00\x00\x00valuesK\x01u", b"N}(K\x01K\x01u\x86"])
def test_refuses_to_change_what_it_made(write, state):
    floats = Storage("FloatStorage", "0", np.arange(2, dtype="<f4"))
    changed = pickled_value(Tensor(floats, 0, (2,), (1,))) + state + b"b"
    with pytest.raises(ValueError, match="changes a tensor's own attributes"):
        read_torch_state_dict(write(zipped({"weight": changed}, [floats])))


def test_refuses_zips_of_another_kind(write):
    floats = Storage("FloatStorage", "0", np.arange(2, dtype="<f4"))
    tensors = {"weight": Tensor(floats, 0, (2,), (1,))}
    for data, message in (
        (zipped(tensors, [floats], compression=zipfile.ZIP_DEFLATED), "compressed"),
        (zipped(tensors, [floats], byteorder="big"), "big-endian"),
        (zipped(tensors, [floats], keys=["1"]), "weights/data/0"),
        (zipped(tensors, [Storage("FloatStorage", "0", floats.values[:1])]), "beyond its storage"),
    ):
        with pytest.raises(ValueError, match=message):
            read_torch_state_dict(write(data))


@pytest.mark.parametrize("count", [-1, 7, 2**40])
def test_refuses_a_storage_that_is_longer_than_the_file(write, count):
    floats = Storage("FloatStorage", "a", np.arange(6, dtype="<f4"))
    whole = stream({"weight": Tensor(floats, 0, (2, 3), (3, 1))}, [floats])
    damaged = whole[:-32] + struct.pack("<q", count) + whole[-24:]
    with pytest.raises(ValueError, match=f"a storage of {count} numbers is cut off"):
        read_torch_state_dict(write(damaged))


@pytest.mark.parametrize("form", [stream, zipped])
def test_refuses_a_truncated_file_at_any_byte(write, form):
    floats = Storage("FloatStorage", "a", np.arange(6, dtype="<f4"))
    whole = form({"weight": Tensor(floats, 0, (2, 3), (3, 1))}, [floats])
    assert list(read_torch_state_dict(write(whole))) == ["weight"]
    for length in range(len(whole)):
        with pytest.raises(ValueError, match="weights.pth"):
            read_torch_state_dict(write(whole[:length]))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\x03\x04 not a whole zip",
        b"not a pickle",
        pickle.dumps({"weight": [1.0]}),
        pickle.dumps(MAGIC, 2) + pickle.dumps(1001, 2) + pickle.dumps({}, 2) + pickle.dumps([1], 2),
        stream({}, keys=["unknown"]),
    ],
)
def test_refuses_other_files(write, data):
    with pytest.raises(ValueError, match="weights.pth"):
        read_torch_state_dict(write(data))


def test_tensors_are_views_of_what_was_read(write):
    """Many tensors over one storage take no more memory than the file."""
    floats = Storage("FloatStorage", "0", np.arange(4, dtype="<f4"))
    tensors = {f"t{i}": Tensor(floats, 0, (4,), (1,)) for i in range(9)}
    state = read_torch_state_dict(write(zipped(tensors, [floats])))
    assert len(state) == 9
    for array in state.values():
        assert np.shares_memory(array, state["t0"]) and not array.flags.writeable
        np.testing.assert_array_equal(array, np.arange(4))


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x02Nr" + struct.pack("<I", 2**26) + b".",  # memo at a large index
        b"\x80\x05\x96" + struct.pack("<Q", 2**28) + b".",  # bytearray
    ],
    ids=["memo", "bytearray"],
)
def test_a_few_bytes_do_not_take_much_memory(write, data):
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"weights.pth: not a state dict"):
            read_torch_state_dict(write(data))
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["_rebuild_parameter", "_rebuild_tensor_v2"])
@pytest.mark.parametrize(
    "state", [b"N}(X\x0c\x00\x00\x00__defaults__K\x01u\x86", b"}(X\x01\x00\x00\x00xK\x01u"]
)
def test_refuses_to_change_what_it_calls(write, name, state):
    changed = f"ctorch._utils\n{name}\n".encode() + state + b"b"
    with pytest.raises(ValueError, match="weights.pth: not a state dict"):
        read_torch_state_dict(write(zipped({"weight": changed})))


def test_refuses_a_zip_whose_entries_overlap(write):
    """Two names for the same bytes, as a small file of very many large tensors would have."""
    floats = Storage("FloatStorage", "0", np.arange(4096, dtype="<f4"))
    tensors = {"weight": Tensor(floats, 0, (4096,), (1,))}
    other = Storage("FloatStorage", "1", floats.values)
    whole = zipped(tensors, [floats, other], keys=["0", "1"])
    assert list(read_torch_state_dict(write(whole))) == ["weight"]
    # The entry's bytes cut out, and what comes after them in the directory moved to the first's.
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        offsets = {entry.filename: entry.header_offset for entry in archive.infolist()}
        start = archive.start_dir
    first, second, after = (offsets[f"weights/{n}"] for n in ("data/0", "data/1", "version"))
    directory = whole[start:]
    directory = directory.replace(struct.pack("<I", second), struct.pack("<I", first))
    directory = directory.replace(
        struct.pack("<I", after), struct.pack("<I", after - (after - second))
    )
    directory = directory.replace(
        struct.pack("<I", start), struct.pack("<I", start - (after - second))
    )
    with pytest.raises(ValueError, match="holds more than the file has bytes"):
        read_torch_state_dict(write(whole[:second] + whole[after:start] + directory))
