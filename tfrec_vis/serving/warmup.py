"""Warm-up requests: what TensorFlow Serving runs before a version takes traffic."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf


def write_warmup(
    path: Path,
    inputs: Mapping[str, np.ndarray],
    model_name: str,
    signature: str = "serving_default",
) -> bool:
    """Writes one warm-up request, ``assets.extra/tf_serving_warmup_requests``.

    The file is a TFRecord of ``tensorflow.serving.PredictionLog``.

    Args:
        path: folder of a SavedModel.
        inputs: the signature's inputs by name.
        model_name: the name it is published under.
        signature: the signature to call.

    Returns:
        Whether it was written: it takes tensorflow-serving-api, the extra ``serving``.
    """
    try:
        from tensorflow_serving.apis import predict_pb2, prediction_log_pb2
    except ModuleNotFoundError:
        return False
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model_name
    request.model_spec.signature_name = signature
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    log = prediction_log_pb2.PredictionLog(
        predict_log=prediction_log_pb2.PredictLog(request=request)
    )
    folder = path / "assets.extra"
    folder.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(folder / "tf_serving_warmup_requests")) as writer:
        writer.write(log.SerializeToString())
    return True
