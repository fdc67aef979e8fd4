from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from tfrec_vis.serving import WarmupCall, read_warmup, write_warmup

CALLS = [
    WarmupCall(
        {
            "user_id": np.array(["ann", "zoë"], object),
            "history_item_id": np.array([["a", ""], ["b", "c"]]),
            "timestamp": np.array([1, 2**40], np.int64),
        },
        {"ctr": np.array([0.25, 0.5], np.float32)},
    ),
    WarmupCall(
        {"image_bytes": np.array([b"\xff\xd8\xff\x00", b""], object)},
        {"embedding": np.zeros([2, 3], np.float32), "cluster_id": np.array([7, 0], np.int32)},
        "cold",
    ),
    WarmupCall(
        {"item_id": np.zeros([0], object), "history_item_id": np.zeros([0, 4], object)},
        {"score": np.zeros([0, 5], np.float32)},
    ),
    WarmupCall({"x": np.float32(1.5)}, {"y": np.array(True)}),
]


def test_the_server_finds_requests_and_responses(tmp_path: Path) -> None:
    write_warmup(tmp_path, CALLS, "ranker")
    file = tmp_path / "assets.extra/tf_serving_warmup_requests"
    records = list(tf.data.TFRecordDataset(str(file)).as_numpy_iterator())
    logs = [prediction_log_pb2.PredictionLog.FromString(record) for record in records]
    assert [log.WhichOneof("log_type") for log in logs] == ["predict_log"] * 4
    for log, signature in zip(
        logs, ["serving_default", "cold", "serving_default", "serving_default"], strict=True
    ):
        for spec in (log.predict_log.request.model_spec, log.predict_log.response.model_spec):
            assert (spec.name, spec.signature_name) == ("ranker", signature)
            assert not spec.HasField("version")  # the server warms up what it has just loaded
    first = logs[0].predict_log
    assert first.request.inputs["user_id"].dtype == tf.string.as_datatype_enum
    assert list(first.request.inputs["user_id"].string_val) == [b"ann", "zoë".encode()]
    assert [d.size for d in first.request.inputs["history_item_id"].tensor_shape.dim] == [2, 2]
    assert first.request.inputs["timestamp"].dtype == tf.int64.as_datatype_enum
    np.testing.assert_array_equal(
        tf.make_ndarray(first.response.outputs["ctr"]), np.array([0.25, 0.5], np.float32)
    )


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_warmup(tmp_path, CALLS, "ranker")
    read = read_warmup(tmp_path)
    assert [call.signature for call in read] == [call.signature for call in CALLS]
    for call, expected in zip(read, CALLS, strict=True):
        for values, wanted in ((call.inputs, expected.inputs), (call.outputs, expected.outputs)):
            assert values.keys() == wanted.keys()
            for name, value in wanted.items():
                value = np.asarray(value)
                if value.dtype.kind in "OU":
                    encoded = [x.encode() if isinstance(x, str) else x for x in value.ravel()]
                    value = np.array(encoded, object).reshape(value.shape)
                assert values[name].dtype == value.dtype
                assert values[name].shape == value.shape
                np.testing.assert_array_equal(values[name], value)


def test_writing_again_replaces(tmp_path: Path) -> None:
    write_warmup(tmp_path, CALLS, "ranker")
    write_warmup(tmp_path, CALLS[3:], "ranker")
    assert [set(call.inputs) for call in read_warmup(tmp_path)] == [{"x"}]


def test_no_file_is_no_calls(tmp_path: Path) -> None:
    assert read_warmup(tmp_path) == []


def test_a_damaged_file_is_not_taken_for_calls(tmp_path: Path) -> None:
    write_warmup(tmp_path, CALLS, "ranker")
    file = tmp_path / "assets.extra/tf_serving_warmup_requests"
    damaged = bytearray(file.read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    file.write_bytes(damaged)
    with pytest.raises(tf.errors.DataLossError):
        read_warmup(tmp_path)
