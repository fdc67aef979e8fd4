"""The REST side of ``servicer``: TensorFlow Serving's JSON over http.server."""

from __future__ import annotations

import base64
import json
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

import numpy as np
import tensorflow as tf
from google.protobuf.json_format import MessageToDict
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

HTTP = {
    "INVALID_ARGUMENT": 400,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
"""ToHTTPStatusCode of TensorFlow Serving's http_server.cc."""


class Refused(Exception):
    """An answer other than OK: (name of the status, message)."""


def metadata(servicer: Any, name: str, version: int | None) -> Any:
    number, model = servicer.find(name, version)
    answer = get_model_metadata_pb2.GetModelMetadataResponse()
    answer.model_spec.name, answer.model_spec.version.value = name, number
    signatures = get_model_metadata_pb2.SignatureDefMap()
    for key, definition in model.signature_def.items():
        signatures.signature_def[key].CopyFrom(definition)
    answer.metadata["signature_def"].Pack(signatures)
    return answer


def status(servicer: Any, name: str, version: int | None) -> Any:
    served = servicer.models.get(name, {})
    numbers = sorted(served, reverse=True) if version is None else [version]
    if not served or not set(numbers) <= set(served):
        raise Refused("NOT_FOUND", f"Could not find any versions of model {name}")
    answer = get_model_status_pb2.GetModelStatusResponse()
    for number in numbers:
        state = get_model_status_pb2.ModelVersionStatus.AVAILABLE
        answer.model_version_status.add(version=number, state=state).status.SetInParent()
    return answer


class Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    servicer: Any  # a Servicer

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        super().server_close()
        for request in list(self._open):  # those kept open would still be answered
            with suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # clients may give up
            super().handle_error(request, client_address)


class Rest(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Http

    def do_GET(self) -> None:
        def answer(name: str, version: int | None, verb: str) -> dict[str, Any]:
            made = (metadata if verb == "metadata" else status)(self.server.servicer, name, version)
            return MessageToDict(
                made, preserving_proto_field_name=True, including_default_value_fields=True
            )

        self._answer(answer)

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers["Content-Length"]))

        def answer(name: str, version: int | None, verb: str) -> dict[str, Any]:
            _, model = self.server.servicer.find(name, version)
            try:
                request = json.loads(text)
            except ValueError as error:
                raise Refused("INVALID_ARGUMENT", f"JSON Parse error: {error}") from error
            signature = request.get("signature_name", "serving_default")
            inputs = from_rows(request.get("instances"), model.inputs_of(signature))
            outputs = self.server.servicer.compute(lambda: model.call(signature, inputs))
            return {"predictions": as_rows(outputs)}

        self._answer(answer)

    def _answer(self, answer: Callable[[str, int | None, str], dict[str, Any]]) -> None:
        code = 200
        try:
            path, _, verb = self.path.removeprefix("/v1/models/").partition(":")
            name, *rest = path.split("/")
            version = int(rest[1]) if rest[:1] == ["versions"] else None
            said = answer(unquote(name), version, verb or "".join(rest[-1:]))
        except Refused as refused:
            code, said = HTTP[refused.args[0]], {"error": refused.args[1]}
        body = json.dumps(said).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: it would go to standard error."""


def from_rows(instances: Any, infos: Any) -> dict[str, tf.Tensor]:
    """Tensors of JSON rows, as TensorFlow Serving's json_tensor.cc reads them."""
    if not isinstance(instances, list) or not instances:
        raise Refused("INVALID_ARGUMENT", "No values in 'instances' array")
    inputs = {}
    for name in infos:
        if any(set(row) != set(infos) for row in instances):
            names = ",".join(sorted(infos))
            raise Refused("INVALID_ARGUMENT", f"JSON object: keys must be equal to: {names}")
        try:
            values = [_decoded(row[name]) for row in instances]
            inputs[name] = tf.constant(values, tf.dtypes.as_dtype(infos[name].dtype))
        except (TypeError, ValueError) as error:
            raise Refused("INVALID_ARGUMENT", f"key: {name}: {error}") from error
    return inputs


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(v) for v in value]
    return base64.b64decode(value["b64"]) if isinstance(value, dict) else value


def as_rows(outputs: dict[str, np.ndarray]) -> list[Any]:
    """JSON rows; a single output goes without its name, bytes of NAME_bytes in base64."""

    def listed(name: str, value: Any) -> Any:
        if isinstance(value, list):
            return [listed(name, v) for v in value]
        if not isinstance(value, bytes):
            return value
        if name.endswith("_bytes"):
            return {"b64": base64.b64encode(value).decode()}
        return value.decode()

    columns = {name: [listed(name, v) for v in values.tolist()] for name, values in outputs.items()}
    if len(columns) == 1:
        return next(iter(columns.values()))
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
