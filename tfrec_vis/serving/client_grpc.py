"""TensorFlow Serving's gRPC services."""

from __future__ import annotations

from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from tfrec_vis.serving.client_error import ServingError


class GrpcTransport:
    """One channel to a server's ``PredictionService`` and ``ModelService``.

    Args:
        address: ``host:port``.
        max_message_bytes: longest request and answer.
    """

    def __init__(self, address: str, max_message_bytes: int) -> None:
        self.address, self.max_message_bytes = address, max_message_bytes
        self._channel = grpc.insecure_channel(
            address,
            [
                ("grpc.max_send_message_length", max_message_bytes),
                ("grpc.max_receive_message_length", max_message_bytes),
                # Attempts are the client's to count, and a server that is back is found at once.
                ("grpc.enable_retries", 0),
                ("grpc.initial_reconnect_backoff_ms", 100),
                ("grpc.max_reconnect_backoff_ms", 1000),
            ],
        )
        prediction = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._predict, self._metadata = prediction.Predict, prediction.GetModelMetadata
        self._status = model_service_pb2_grpc.ModelServiceStub(self._channel).GetModelStatus

    def predict(
        self,
        model: str,
        columns: dict[str, np.ndarray],
        signature: str,
        version: int | None,
        timeout: float,
    ) -> dict[str, np.ndarray]:
        """One Predict call."""
        spec = _spec(model, version, signature)
        request = predict_pb2.PredictRequest(model_spec=spec)
        for name, column in columns.items():
            request.inputs[name].CopyFrom(_tensor(column))
        if (size := request.ByteSize()) > self.max_message_bytes:
            raise ServingError(
                "MESSAGE_TOO_LARGE",
                f"a request of {size} bytes, at most {self.max_message_bytes} are allowed",
                model=model,
                address=self.address,
            )
        answer = self._call(self._predict, request, timeout)
        return {name: tf.make_ndarray(value) for name, value in answer.outputs.items()}

    def metadata(self, model: str, version: int | None, timeout: float) -> dict[str, Any]:
        """GetModelMetadata's answer in JSON."""
        request = get_model_metadata_pb2.GetModelMetadataRequest(
            model_spec=_spec(model, version), metadata_field=["signature_def"]
        )
        return _json(self._call(self._metadata, request, timeout))

    def status(self, model: str, timeout: float) -> dict[str, Any]:
        """GetModelStatus's answer in JSON."""
        request = get_model_status_pb2.GetModelStatusRequest(model_spec=_spec(model, None))
        return _json(self._call(self._status, request, timeout))

    def close(self) -> None:
        """Closes the channel."""
        self._channel.close()

    def _call(self, method: Any, request: Any, timeout: float) -> Any:
        try:
            return method(request, timeout=timeout)
        except grpc.RpcError as error:
            code, details = error.code().name, error.details() or "no reason given"
            if code == "RESOURCE_EXHAUSTED" and "message larger than max" in details:
                code = "MESSAGE_TOO_LARGE"
            model = request.model_spec.name
            raise ServingError(code, details, model=model, address=self.address) from error


def _spec(model: str, version: int | None, signature: str = "") -> model_pb2.ModelSpec:
    spec = model_pb2.ModelSpec(name=model, signature_name=signature)
    if version is not None:
        spec.version.value = version
    return spec


def _tensor(values: np.ndarray) -> tensor_pb2.TensorProto:
    """As ``tf.make_tensor_proto``, which takes several times longer for text."""
    dims = [tensor_shape_pb2.TensorShapeProto.Dim(size=size) for size in values.shape]
    shape = tensor_shape_pb2.TensorShapeProto(dim=dims)
    if values.dtype == object:
        tensor = tensor_pb2.TensorProto(dtype=tf.string.as_datatype_enum, tensor_shape=shape)
        texts = values.ravel().tolist()
        tensor.string_val.extend([t.encode() if isinstance(t, str) else t for t in texts])
        return tensor
    kind = tf.as_dtype(values.dtype).as_datatype_enum
    return tensor_pb2.TensorProto(
        dtype=kind, tensor_shape=shape, tensor_content=np.ascontiguousarray(values).tobytes()
    )


def _json(message: Message) -> dict[str, Any]:
    return MessageToDict(message, preserving_proto_field_name=True)
