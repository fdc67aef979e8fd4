from __future__ import annotations

import struct

import numpy as np
import pytest
from torch_files import safetensors

from tfrec_vis.encoders.safetensors_file import read_safetensors


@pytest.fixture
def write(tmp_path):
    def write(data):
        path = tmp_path / "model.safetensors"
        path.write_bytes(data)
        return path

    return write


FLOATS = np.arange(6, dtype="<f4").reshape(2, 3)


def test_reads_tensors(write):
    tensors = {
        "a": FLOATS,
        "half": np.array([0.5], "<f2"),
        "brain": np.array([0x3F80, 0xC020], "<u2"),  # 1 and -2.5
        "scalar": np.array(7, "<i8"),
        "none": np.empty((0, 3), "<f4"),
    }
    dtypes = {"half": "F16", "brain": "BF16", "scalar": "I64"}
    state = read_safetensors(write(safetensors(tensors, dtypes, __metadata__={"format": "pt"})))
    assert list(state) == list(tensors)
    np.testing.assert_array_equal(state["a"], FLOATS)
    np.testing.assert_array_equal(state["half"], [0.5])
    np.testing.assert_array_equal(state["brain"].astype(np.float32), [1, -2.5])
    assert state["scalar"] == 7 and state["none"].shape == (0, 3)


def entry(**changes):
    return {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24], **changes}


@pytest.mark.parametrize(
    "bad",
    [
        entry(data_offsets=[0, 28]),
        entry(data_offsets=[-4, 20]),
        entry(data_offsets=[24, 0]),
        entry(data_offsets=[8, 32]),
        entry(shape=[2, 4]),
        entry(shape=[-2, -3]),
        entry(shape=[2**40, 2**40]),
        entry(shape="23"),
        entry(shape=[2.0, 3.0]),
        entry(shape=[0, 2**70], data_offsets=[0, 0]),
        entry(shape=[True, 6]),
        entry(shape=[float("inf")]),
        entry(data_offsets=[0.0, 24.0]),
        entry(dtype="F4"),
        {"dtype": "F32"},
        [],
    ],
)
def test_refuses_tensors_that_do_not_fit(write, bad):
    path = write(safetensors({"a": FLOATS}, b=bad))
    with pytest.raises(ValueError, match=r"model.safetensors: not a safetensors file: "):
        read_safetensors(path)


def test_refuses_a_truncated_file_at_any_byte(write):
    whole = safetensors({"a": FLOATS})
    assert list(read_safetensors(write(whole))) == ["a"]
    for length in range(len(whole)):
        with pytest.raises(ValueError, match=r"model.safetensors"):
            read_safetensors(write(whole[:length]))


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 2) + b"\xff{",
        struct.pack("<Q", 200_000) + b"[" * 200_000,
    ],
)
def test_refuses_other_headers(write, data):
    with pytest.raises(ValueError, match=r"model.safetensors: not a safetensors file: "):
        read_safetensors(write(data))
