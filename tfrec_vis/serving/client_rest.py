"""TensorFlow Serving's REST interface, over connections that are kept open."""

from __future__ import annotations

import base64
import json
import time
from http.client import HTTPConnection, HTTPException, IncompleteRead
from typing import Any
from urllib.parse import quote

import numpy as np

from tfrec_vis.serving.client_answers import array_dtype, read_metadata
from tfrec_vis.serving.client_error import ServingError

_CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    413: "MESSAGE_TOO_LARGE",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
"""What TensorFlow Serving and the proxies before it mean by a status."""
_PIECE = 2**16


class RestTransport:
    """Connections to a server's REST port; a call takes an idle one or opens one.

    Answers name neither the outputs' dtypes nor a single output: both are looked up in the model's
    metadata, once for each model, version and signature.

    Args:
        address: ``host:port``.
        max_message_bytes: longest request and answer.
    """

    def __init__(self, address: str, max_message_bytes: int) -> None:
        self.address, self.max_message_bytes = address, max_message_bytes
        self._idle: list[HTTPConnection] = []
        self._outputs: dict[tuple[str, int | None, str], dict[str, Any]] = {}

    def predict(
        self,
        model: str,
        columns: dict[str, np.ndarray],
        signature: str,
        version: int | None,
        timeout: float,
    ) -> dict[str, np.ndarray]:
        """One predict call, in rows."""
        deadline = time.monotonic() + timeout
        lists = {name: _as_json(column) for name, column in columns.items()}
        rows = [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]
        body = json.dumps({"signature_name": signature, "instances": rows}).encode()
        if len(body) > self.max_message_bytes:
            raise self._too_large(model, "a request", len(body))
        answer = self._call(model, version, ":predict", deadline - time.monotonic(), body)
        predictions = answer.get("predictions")
        if not isinstance(predictions, list) or len(predictions) != len(rows):
            details = f"expected predictions for {len(rows)} rows, got {str(answer)[:100]}"
            raise self._error("INTERNAL", details, model)
        outputs = self._outputs.get((model, version, signature))
        if outputs is None or not _fits(predictions[0], outputs):  # a version may have come since
            found = read_metadata(self.metadata(model, version, deadline - time.monotonic()))
            outputs = found["signatures"][signature]["outputs"]
            self._outputs[model, version, signature] = outputs
        if len(outputs) == 1:
            ((name, (dtype, _)),) = outputs.items()
            return {name: _array(predictions, dtype)}
        return {
            name: _array([row[name] for row in predictions], dtype)
            for name, (dtype, _) in outputs.items()
        }

    def metadata(self, model: str, version: int | None, timeout: float) -> dict[str, Any]:
        """The server's metadata of a model."""
        return self._call(model, version, "/metadata", timeout)

    def status(self, model: str, timeout: float) -> dict[str, Any]:
        """The server's status of a model."""
        return self._call(model, None, "", timeout)

    def close(self) -> None:
        """Closes the idle connections."""
        while self._idle:
            self._idle.pop().close()

    def _call(
        self,
        model: str,
        version: int | None,
        verb: str,
        timeout: float,
        body: bytes | None = None,
    ) -> dict[str, Any]:
        at = "" if version is None else f"/versions/{version}"
        path = f"/v1/models/{quote(model, safe='')}{at}{verb}"
        try:
            status, text = self._exchange(path, body, time.monotonic() + timeout, model)
        except TimeoutError as error:
            reason = f"no answer within {timeout:.3g} s"
            raise self._error("DEADLINE_EXCEEDED", reason, model) from error
        except (OSError, HTTPException) as error:
            reason = f"{type(error).__name__}: {error}"
            raise self._error("UNAVAILABLE", reason, model) from error
        try:
            answer = json.loads(text)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            answer = {"error": text.decode(errors="replace") or "an empty answer"}
        if status != 200 or "error" in answer:
            code = _CODES.get(status, "INTERNAL" if status >= 500 else "UNKNOWN")
            raise self._error(code, str(answer.get("error", answer)), model)
        return answer

    def _exchange(
        self, path: str, body: bytes | None, deadline: float, model: str
    ) -> tuple[int, bytes]:
        while True:
            try:
                connection, fresh = self._idle.pop(), False
            except IndexError:
                connection, fresh = HTTPConnection(self.address), True
            done = False
            try:
                connection.timeout = _left(deadline)
                if connection.sock is not None:
                    connection.sock.settimeout(connection.timeout)
                connection.request(
                    "GET" if body is None else "POST",
                    path,
                    body,
                    {"Content-Type": "application/json"},
                )
                sock = connection.sock
                sock.settimeout(_left(deadline))
                response = connection.getresponse()
                text = bytearray()
                while piece := response.read1(_PIECE):
                    text += piece
                    if len(text) > self.max_message_bytes:
                        raise self._too_large(model, "an answer", len(text))
                    sock.settimeout(_left(deadline))
                if response.length:
                    raise IncompleteRead(bytes(text), response.length)
                response.close()  # else the connection waits for more of it
                done = True
                return response.status, bytes(text)
            except ConnectionError:
                if fresh:
                    raise
                # The server had closed this one while it was idle.
            finally:
                if done and not response.will_close:
                    self._idle.append(connection)
                else:
                    connection.close()

    def _error(self, code: str, details: str, model: str) -> ServingError:
        return ServingError(code, details, model=model, address=self.address)

    def _too_large(self, model: str, what: str, size: int) -> ServingError:
        details = f"{what} of {size} bytes, at most {self.max_message_bytes} are allowed"
        return self._error("MESSAGE_TOO_LARGE", details, model)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _as_json(column: np.ndarray) -> list[Any]:
    if column.dtype != object or not any(isinstance(v, bytes) for v in column.ravel().tolist()):
        return column.tolist()
    encoded = np.empty(column.size, object)
    for i, value in enumerate(column.ravel().tolist()):
        raw = value.encode() if isinstance(value, str) else value
        encoded[i] = {"b64": base64.b64encode(raw).decode()}
    return encoded.reshape(column.shape).tolist()


def _fits(row: Any, outputs: dict[str, Any]) -> bool:
    named = isinstance(row, dict) and row.keys() != {"b64"}
    return row.keys() == outputs.keys() if named else len(outputs) == 1


def _array(values: list[Any], dtype: str) -> np.ndarray:
    if dtype != "string":
        return np.array(values, array_dtype(dtype))
    shape = np.array(values, object).shape
    flat = np.array(values, object).ravel().tolist()
    array = np.empty(len(flat), object)
    array[:] = [base64.b64decode(v["b64"]) if isinstance(v, dict) else v.encode() for v in flat]
    return array.reshape(shape)
