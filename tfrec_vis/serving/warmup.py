"""Warm-up requests: what TensorFlow Serving runs before a version takes traffic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

FILE = "assets.extra/tf_serving_warmup_requests"
"""Where the server looks for them in a SavedModel."""


@dataclass(frozen=True)
class WarmupCall:
    """A request and what is answered.

    Attributes:
        inputs: the signature's inputs by name.
        outputs: its outputs by name, as the Keras model gave them at export.
        signature: the signature that is called.
    """

    inputs: Mapping[str, np.ndarray]
    outputs: Mapping[str, np.ndarray]
    signature: str = "serving_default"


def write_warmup(path: Path, calls: Sequence[WarmupCall], model_name: str) -> None:
    """Writes ``assets.extra/tf_serving_warmup_requests``.

    A TFRecord with one ``tensorflow.serving.PredictionLog`` a call, request and response. The
    server sends the requests; ``infra_check`` also compares the answers with the responses.

    Args:
        path: folder of a SavedModel.
        calls: the requests, texts in them as str or bytes.
        model_name: the name it is published under.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     call = WarmupCall({"x": np.array([1, 2])}, {"y": np.array([2, 4])}, "double")
        ...     write_warmup(Path(folder), [call], "calculator")
        ...     (read,) = read_warmup(Path(folder))
        >>> read.signature, read.inputs["x"], read.outputs["y"]
        ('double', array([1, 2]), array([2, 4]))
    """
    file = path / FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(file)) as writer:
        for call in calls:
            log = _predict_log(call, model_name)
            writer.write(log.SerializeToString(deterministic=True))


def _predict_log(call: WarmupCall, model_name: str) -> prediction_log_pb2.PredictionLog:
    """The call as the message that the server reads."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model_name
    request.model_spec.signature_name = call.signature
    response = predict_pb2.PredictResponse()
    response.model_spec.CopyFrom(request.model_spec)
    for message, values in ((request.inputs, call.inputs), (response.outputs, call.outputs)):
        for name, value in values.items():
            message[name].CopyFrom(_tensor_proto(value))
    return prediction_log_pb2.PredictionLog(
        predict_log=prediction_log_pb2.PredictLog(request=request, response=response)
    )


def read_warmup(path: Path) -> list[WarmupCall]:
    """Reads what ``write_warmup`` wrote.

    Args:
        path: folder of a SavedModel.

    Returns:
        The calls in their order, texts as bytes; none where there is no file.
    """
    file = path / FILE
    if not file.is_file():
        return []
    calls = []
    for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
        log = prediction_log_pb2.PredictionLog.FromString(record).predict_log
        calls.append(
            WarmupCall(
                {name: tf.make_ndarray(value) for name, value in log.request.inputs.items()},
                {name: tf.make_ndarray(value) for name, value in log.response.outputs.items()},
                log.request.model_spec.signature_name,
            )
        )
    return calls


def _tensor_proto(value: np.ndarray) -> Any:
    value = np.asarray(value)
    text = value.dtype.kind in "OSU"
    return tf.make_tensor_proto(value, tf.string if text else None)
