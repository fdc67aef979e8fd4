"""Records in the middle of a file, against TensorFlow's own writer and reader."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfrec_vis.data.tfrecord import DamagedRecord, read_records, record_starts

RECORDS = [b"first", b"", bytes(range(256)) * 300, b"x" * 17, b"last"]


@pytest.fixture
def path(tmp_path):
    with tf.io.TFRecordWriter(str(tmp_path / "records")) as writer:
        for record in RECORDS:
            writer.write(record)
    return tmp_path / "records"


def test_starts(path, tmp_path):
    sizes = [len(record) + 16 for record in RECORDS]
    np.testing.assert_array_equal(record_starts(path), np.cumsum([0, *sizes]))
    (tmp_path / "empty").touch()
    assert record_starts(tmp_path / "empty").tolist() == [0]


@pytest.mark.parametrize("first, end", [(0, 5), (1, 3), (4, 5), (2, 2)])
def test_records_from_anywhere(path, first, end):
    starts = record_starts(path)[first : end + 1]
    assert list(read_records(path, starts)) == RECORDS[first:end]


@pytest.mark.parametrize(
    "place, problem", [(0, "exchanged"), (12, "corrupted"), (40, "corrupted"), (-1, "corrupted")]
)
def test_changed_bytes(path, place, problem):
    """In the length, the first and a later byte of the data, and the checksum of record 2."""
    starts = record_starts(path)
    data = bytearray(path.read_bytes())
    data[starts[2 if place >= 0 else 3] + place] ^= 1
    path.write_bytes(data)
    found = read_records(path, starts)
    assert [next(found), next(found)] == RECORDS[:2]
    with pytest.raises(DamagedRecord, match=problem):
        next(found)


def test_cut_short(path):
    starts = record_starts(path)
    path.write_bytes(path.read_bytes()[:-3])
    found = read_records(path, starts)
    assert [next(found) for _ in RECORDS[:-1]] == RECORDS[:-1]
    with pytest.raises(DamagedRecord, match="cut short"):
        next(found)
