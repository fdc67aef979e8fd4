"""Asks models on TensorFlow Serving, over gRPC or REST."""

from __future__ import annotations

import importlib
import random
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, TypeVar

import numpy as np

from tfrec_vis.errors import InputError
from tfrec_vis.serving.client_answers import no_rows, read_metadata, read_status
from tfrec_vis.serving.client_columns import as_columns
from tfrec_vis.serving.client_error import ServingError

_TRANSPORTS = {"grpc": ("client_grpc", "GrpcTransport"), "rest": ("client_rest", "RestTransport")}
_RETRIED = ("UNAVAILABLE", "RESOURCE_EXHAUSTED")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
_Answer = TypeVar("_Answer")


class Client:
    """A client of one TensorFlow Serving server, for any number of threads.

    Making one connects to nothing. With ``grpc`` it imports TensorFlow, whose protocol buffers the
    requests are made of; with ``rest`` only NumPy and the standard library.

    Predicting changes nothing on the server, so a request is sent again when the server cannot be
    reached or its queue is full (UNAVAILABLE, RESOURCE_EXHAUSTED), after a random pause of up to
    0.05 s, 0.1 s, 0.2 s, ...; never beyond the deadline. Other errors are final.

    Args:
        address: ``host:port``; TensorFlow Serving's ports are 8500 for gRPC, 8501 for REST.
        protocol: ``grpc`` or ``rest``.
        timeout: seconds a call may take in all, with its batches, attempts and pauses.
        retries: further attempts of a request.
        max_batch: rows of a request; more rows are sent as several requests.
        parallel: requests under way at the same time, of all calls together that take several.
        max_message_bytes: longest request and answer.

    Raises:
        InputError: an argument out of its range.

    Example:
        >>> from tfrec_vis.serving import Client
        >>> with Client("localhost:8501", protocol="rest") as client:
        ...     client.predict("ranker", {"user_id": ["u1"], "item_id": ["a", "b"]})
        ... # doctest: +ELLIPSIS
        Traceback (most recent call last):
        tfrec_vis.errors.InputError: predict: expected the same number of rows ...
    """

    def __init__(
        self,
        address: str,
        *,
        protocol: str = "grpc",
        timeout: float = 1.0,
        retries: int = 2,
        max_batch: int = 100,
        parallel: int = 4,
        max_message_bytes: int = 64 * 2**20,
    ) -> None:
        if protocol not in _TRANSPORTS:
            raise InputError(f"protocol: expected grpc or rest, got {protocol!r}")
        if "/" in address or ":" not in address:
            raise InputError(
                f"address: expected host:port, such as localhost:8500, got {address!r}"
            )
        lowest = {"retries": (retries, 0), "max_batch": (max_batch, 1), "parallel": (parallel, 1)}
        for name, (value, least) in lowest.items():
            if value < least:
                raise InputError(f"{name}: expected {least} or more, got {value}")
        self.address, self.protocol = address, protocol
        self.timeout, self.retries, self.max_batch = timeout, retries, max_batch
        module, transport = _TRANSPORTS[protocol]
        made = getattr(importlib.import_module(f"tfrec_vis.serving.{module}"), transport)
        self._transport = made(address, max_message_bytes)
        self._pool = ThreadPoolExecutor(parallel, "tfrec-vis-client")  # starts threads when used

    def predict(
        self,
        model: str,
        inputs: Mapping[str, np.ndarray | Sequence[Any]],
        *,
        signature: str = "serving_default",
        version: int | None = None,
        timeout: float | None = None,
    ) -> dict[str, np.ndarray]:
        """Predicts any number of rows.

        Without rows nothing is computed: the outputs' dtypes and widths come from the model's
        metadata. Where the rows take several requests and a new version is loaded meanwhile, they
        may be answered by both; name a `version` where that matters.

        Args:
            model: its name on the server.
            inputs: by name, arrays [n, ...] or lists with an entry for each row. Text may be
                ``str`` or UTF-8 ``bytes``; lists of lists of text (histories) may differ in length
                and are filled up with "".
            signature: which of the model's signatures.
            version: None: the newest one that is served.
            timeout: seconds for this call instead of the client's.

        Returns:
            Outputs [n, ...] by name, rows in the order of the inputs. Text comes as ``bytes``.

        Raises:
            InputError: inputs of different numbers of rows, or of no sendable kind.
            ServingError: what the server answered, or that it did not.
        """
        columns, rows = as_columns(inputs)
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        if not rows:
            signatures = self._metadata(model, version, deadline)["signatures"]
            if signature not in signatures:
                details = f"no signature {signature!r}, there are {', '.join(signatures)}"
                raise self._error("INVALID_ARGUMENT", details, model)
            return no_rows(signatures[signature]["outputs"])

        def send(first: int) -> dict[str, np.ndarray]:
            batch = {name: c[first : first + self.max_batch] for name, c in columns.items()}
            outputs = self._attempts(
                lambda left: self._transport.predict(model, batch, signature, version, left),
                model,
                deadline,
            )
            expected = min(self.max_batch, rows - first)
            for name, values in outputs.items():
                if values.shape[:1] != (expected,):
                    details = f"{name} {list(values.shape)} in answer to {expected} rows"
                    raise self._error("INTERNAL", details, model)
            return outputs

        if rows <= self.max_batch:
            return send(0)
        sent = [self._pool.submit(send, first) for first in range(0, rows, self.max_batch)]
        try:
            parts = [future.result() for future in sent]
        finally:
            for future in sent:  # after an error the rest need not be asked
                future.cancel()
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def metadata(self, model: str, *, version: int | None = None) -> dict[str, Any]:
        """A model's version and signatures.

        Args:
            model: its name on the server.
            version: None: the newest one that is served.

        Returns:
            ``{"version": 1, "signatures": {NAME: {"inputs": {INPUT: (dtype, shape)}, "outputs":
            {OUTPUT: (dtype, shape)}}}}`` with dtypes such as "string" and "float32", and None for
            sizes that are open.

        Raises:
            ServingError: what the server answered, or that it did not.
        """
        return self._metadata(model, version, time.monotonic() + self.timeout)

    def status(self, model: str) -> dict[int, dict[str, str]]:
        """State of each version of a model that the server knows.

        Args:
            model: its name on the server.

        Returns:
            ``{VERSION: {"state": "AVAILABLE", "error": ""}}``; states are those of TensorFlow
            Serving: START, LOADING, AVAILABLE, UNLOADING, END.

        Raises:
            ServingError: what the server answered, or that it did not.
        """
        deadline = time.monotonic() + self.timeout
        return read_status(
            self._attempts(lambda left: self._transport.status(model, left), model, deadline)
        )

    def close(self) -> None:
        """Closes the connections; requests under way are waited for."""
        self._pool.shutdown()
        self._transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _metadata(self, model: str, version: int | None, deadline: float) -> dict[str, Any]:
        return read_metadata(
            self._attempts(
                lambda left: self._transport.metadata(model, version, left), model, deadline
            )
        )

    def _attempts(self, call: Callable[[float], _Answer], model: str, deadline: float) -> _Answer:
        attempt = 0
        while True:
            attempt += 1
            left = deadline - time.monotonic()
            if left <= 0:
                details = "no time was left to send the request"
                raise self._error("DEADLINE_EXCEEDED", details, model)
            try:
                return call(left)
            except ServingError as error:
                error.attempts = attempt
                pause = random.uniform(0, min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** (attempt - 1)))
                too_late = time.monotonic() + pause >= deadline
                if error.code not in _RETRIED or attempt > self.retries or too_late:
                    raise
            time.sleep(pause)

    def _error(self, code: str, details: str, model: str) -> ServingError:
        return ServingError(code, details, model=model, address=self.address)
