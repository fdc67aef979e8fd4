"""Warm-up requests: what TensorFlow Serving runs before a version takes traffic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

_FILE = "assets.extra/tf_serving_warmup_requests"


@dataclass(frozen=True)
class WarmupCall:
    """A request, and what the model must answer.

    Attributes:
        inputs: the signature's inputs by name.
        outputs: what the Keras model gave for them at export, by the signature's output names.
        signature: the signature to call.
    """

    inputs: Mapping[str, np.ndarray]
    outputs: Mapping[str, np.ndarray]
    signature: str = "serving_default"


def write_warmup(path: Path, calls: Sequence[WarmupCall], model_name: str) -> None:
    """Writes calls into ``assets.extra/tf_serving_warmup_requests``.

    The file is a TFRecord of ``tensorflow.serving.PredictionLog``, one for each call, with request
    and response.

    Args:
        path: folder of a SavedModel.
        calls: what to call.
        model_name: the name it is published under.
    """
    file = path / _FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(file)) as writer:
        for call in calls:
            request = predict_pb2.PredictRequest()
            request.model_spec.name = model_name
            request.model_spec.signature_name = call.signature
            response = predict_pb2.PredictResponse()
            for name, value in call.inputs.items():
                request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
            for name, value in call.outputs.items():
                response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
            log = prediction_log_pb2.PredictLog(request=request, response=response)
            whole = prediction_log_pb2.PredictionLog(predict_log=log)
            writer.write(whole.SerializeToString())


def read_warmup(path: Path) -> list[WarmupCall]:
    """The calls that ``write_warmup`` wrote into the folder of a SavedModel."""
    calls = []
    for record in tf.data.TFRecordDataset(str(path / _FILE)).as_numpy_iterator():
        log = prediction_log_pb2.PredictionLog.FromString(record).predict_log
        inputs, outputs = (
            {name: tf.make_ndarray(value) for name, value in values.items()}
            for values in (log.request.inputs, log.response.outputs)
        )
        calls.append(WarmupCall(inputs, outputs, log.request.model_spec.signature_name))
    return calls
