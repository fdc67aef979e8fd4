"""A model server with TensorFlow Serving's protocols, over published SavedModels.

gRPC: Predict, GetModelMetadata, GetModelStatus, the real services of tensorflow-serving-api. REST:
predict (rows), metadata, status. As a process of its own: ``python servicer.py ROOT``.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from servicer_rest import Http, Refused, Rest, metadata, status
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import (
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from tfrec_vis.serving import versions


class Model:
    """A version that was loaded."""

    def __init__(self, folder: Path) -> None:
        self.loaded = tf.saved_model.load(str(folder))
        saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
        self.signature_def = saved.meta_graphs[0].signature_def

    def inputs_of(self, signature: str) -> Any:
        if signature not in self.signature_def:
            raise Refused("INVALID_ARGUMENT", f"Serving signature key {signature!r} not found.")
        return self.signature_def[signature].inputs

    def call(self, signature: str, inputs: dict[str, tf.Tensor]) -> dict[str, np.ndarray]:
        expected = set(self.inputs_of(signature))
        if expected != set(inputs):
            extra, missing = sorted(set(inputs) - expected), sorted(expected - set(inputs))
            raise Refused(
                "INVALID_ARGUMENT",
                f"input size does not match signature: {len(inputs)}!={len(expected)}. "
                f"Sent extra: {extra}. Missing but required: {missing}.",
            )
        try:
            outputs = self.loaded.signatures[signature](**inputs)
        except tf.errors.OpError as error:
            code = "INVALID_ARGUMENT" if isinstance(error, INVALID) else "INTERNAL"
            raise Refused(code, error.message) from error
        except (TypeError, ValueError) as error:
            raise Refused("INVALID_ARGUMENT", str(error)) from error
        return {name: value.numpy() for name, value in outputs.items()}


INVALID = (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError)


class Servicer:
    """The server: in a ``with`` block it listens at ``address`` and ``rest_address``.

    Args:
        root: the folder of published models; every version is served, the newest by default.
        workers: requests computed at the same time.
        queue: further requests that may wait; one more is answered RESOURCE_EXHAUSTED.
        port, rest_port: 0: free ones.
        max_message_bytes: longest request by gRPC; None: any.

    Attributes:
        faults: (status, message) that the next Predict requests are answered with, first to last.
        delay: seconds that each Predict request takes longer.
        answered: Predict requests by status.
    """

    def __init__(
        self,
        root: Path,
        *,
        workers: int = 2,
        queue: int = 64,
        port: int = 0,
        rest_port: int = 0,
        max_message_bytes: int | None = None,
    ) -> None:
        self.root, self.queue = root, queue
        self.models: dict[str, dict[int, Model]] = {}
        self.faults: deque[tuple[str, str]] = deque()
        self.delay, self.answered = 0.0, Counter()
        self.places = workers + queue
        self._places = threading.BoundedSemaphore(self.places)
        self._workers = threading.BoundedSemaphore(workers)
        # Threads beyond the places are those that answer RESOURCE_EXHAUSTED.
        self._grpc = grpc.server(
            ThreadPoolExecutor(self.places + 8),
            options=[("grpc.max_receive_message_length", max_message_bytes or -1)],
        )
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            Prediction(self), self._grpc
        )
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(Status(self), self._grpc)
        self.address = f"localhost:{self._grpc.add_insecure_port(f'localhost:{port}')}"
        self._http = Http(("localhost", rest_port), Rest)
        self._http.servicer = self
        self.rest_address = f"localhost:{self._http.server_port}"

    def __enter__(self) -> Servicer:
        self.poll()
        self._grpc.start()
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._grpc.stop(None).wait()
        self._http.shutdown()
        self._http.server_close()

    def poll(self) -> None:
        """Loads the versions that have come, and lets go of those that have gone."""
        found: dict[str, dict[int, Model]] = {}
        for home in sorted(self.root.iterdir()):
            numbers = versions(home) if home.is_dir() and not home.name.startswith(".") else []
            known = self.models.get(home.name, {})
            served = {n: known.get(n) or Model(home / str(n)) for n in sorted(numbers)}
            if served:
                found[home.name] = served
        self.models = found

    def calm(self) -> None:
        """Takes back faults and delay, and waits for requests that nobody waits for any more."""
        self.delay = 0.0
        self.faults.clear()
        for _ in range(self.places):
            self._places.acquire()
        for _ in range(self.places):
            self._places.release()
        self.answered.clear()

    def find(self, name: str, version: int | None) -> tuple[int, Model]:
        served = self.models.get(name, {})
        number = max(served, default=0) if version is None else version
        if number not in served:
            wanted = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            raise Refused("NOT_FOUND", f"Servable not found for request: {wanted}")
        return number, served[number]

    def compute(
        self,
        call: Callable[[], dict[str, np.ndarray]],
        time_left: Callable[[], float | None] = lambda: None,
    ) -> dict[str, np.ndarray]:
        """One Predict request: through the queue, and computed if its time has not run out."""
        try:
            outputs = self._queued(call, time_left)
        except Refused as refused:
            self.answered[refused.args[0]] += 1
            raise
        self.answered["OK"] += 1
        return outputs

    def _queued(
        self, call: Callable[[], dict[str, np.ndarray]], time_left: Callable[[], float | None]
    ) -> dict[str, np.ndarray]:
        if not self._places.acquire(blocking=False):
            raise Refused("RESOURCE_EXHAUSTED", f"the queue of {self.queue} requests is full")
        try:
            if not self._workers.acquire(timeout=time_left()):
                raise Refused("DEADLINE_EXCEEDED", "Deadline exceeded in the queue")
            try:
                time.sleep(self.delay)
                if self.faults:
                    raise Refused(*self.faults.popleft())
                if (left := time_left()) is not None and left <= 0:
                    raise Refused("DEADLINE_EXCEEDED", "Deadline exceeded in the queue")
                return call()
            finally:
                self._workers.release()
        finally:
            self._places.release()


class Prediction(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, servicer: Servicer) -> None:
        self.servicer = servicer

    def Predict(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        with aborting(context):
            spec = request.model_spec
            number, model = self.servicer.find(spec.name, version_of(spec))
            signature = spec.signature_name or "serving_default"

            def call() -> dict[str, np.ndarray]:
                inputs = {
                    name: tf.io.parse_tensor(
                        value.SerializeToString(), tf.dtypes.as_dtype(value.dtype)
                    )
                    for name, value in request.inputs.items()
                }
                return model.call(signature, inputs)

            outputs = self.servicer.compute(call, context.time_remaining)
            answer = predict_pb2.PredictResponse()
            answer.model_spec.name, answer.model_spec.signature_name = spec.name, signature
            answer.model_spec.version.value = number
            for name, value in outputs.items():
                answer.outputs[name].CopyFrom(tf.make_tensor_proto(value))
            return answer

    def GetModelMetadata(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        with aborting(context):
            return metadata(self.servicer, request.model_spec.name, version_of(request.model_spec))


class Status(model_service_pb2_grpc.ModelServiceServicer):
    def __init__(self, servicer: Servicer) -> None:
        self.servicer = servicer

    def GetModelStatus(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        with aborting(context):
            return status(self.servicer, request.model_spec.name, version_of(request.model_spec))


def version_of(spec: Any) -> int | None:
    return spec.version.value if spec.HasField("version") else None


@contextmanager
def aborting(context: grpc.ServicerContext) -> Iterator[None]:
    try:
        yield
    except Refused as refused:
        code, message = refused.args
        context.abort(grpc.StatusCode[code], message)


@contextmanager
def serve(root: Path, **options: Any) -> Iterator[str]:
    """The gRPC address of a ``Servicer`` that listens during the block."""
    with Servicer(root, **options) as servicer:
        yield servicer.address


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description="Serve published models until standard input ends")
    parser.add_argument("root", type=Path)
    for name, default in (("workers", 2), ("queue", 64), ("port", 0), ("rest-port", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    with Servicer(**vars(parser.parse_args(arguments))) as servicer:
        print(json.dumps([servicer.address, servicer.rest_address]), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1:])
