"""The fresh process of ``infra_check``: loads a SavedModel and replays its warm-up requests.

``python -m tfrec_vis.serving.replay FOLDER TOLERANCE`` prints one line of JSON: what
``infra_check`` returns, or {"fault": ...}.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from tfrec_vis.serving.warmup import WarmupCall

_NOT_THERE = ("keras", "tf_keras", "tensorflow_io", "tensorflow_recommenders")
_MOST_CALLS, _LEAST_CALLS, _SECONDS = 200, 10, 5.0
"""How often a call is timed: up to so many times, within so many seconds."""


class Fault(Exception):
    """What is wrong with the model, in one line."""


def replay(folder: Path, tolerance: float) -> dict[str, Any]:
    """Loads, calls, compares and times.

    Args:
        folder: a SavedModel.
        tolerance: the largest accepted difference of numbers.

    Returns:
        What ``infra_check`` returns.

    Raises:
        Fault: it does not load, cannot answer or answers differently.
    """
    import tensorflow as tf

    from tfrec_vis.serving.warmup import FILE, read_warmup

    started = time.perf_counter()
    try:
        model = tf.saved_model.load(str(folder))
    except Exception as error:
        raise Fault(f"cannot be loaded: {_line(error)}") from error
    load_seconds = time.perf_counter() - started
    try:
        calls = read_warmup(folder)
    except Exception as error:
        raise Fault(f"{FILE} cannot be read: {_line(error)}") from error
    if not any(call.signature == "serving_default" for call in calls):
        raise Fault(f"no call of serving_default in {FILE}; write it with write_warmup")
    differences, latencies = [0.0], []
    for number, call in enumerate(calls):
        what = f"warm-up call {number} ({call.signature})"
        if call.signature not in model.signatures:
            raise Fault(f"{what}: no such signature; there are {', '.join(model.signatures)}")
        signature = model.signatures[call.signature]
        inputs = {name: tf.constant(value) for name, value in call.inputs.items()}

        def answer(
            signature: Callable[..., Any] = signature, inputs: dict[str, Any] = inputs
        ) -> dict[str, np.ndarray]:
            return {name: value.numpy() for name, value in signature(**inputs).items()}

        try:
            answered = answer()
        except Exception as error:
            raise Fault(f"{what} fails: {_line(error)}") from error
        differences.append(_difference(call, answered, tolerance, what))
        if call.signature == "serving_default":
            latencies.append(_latency_ms(answer))
    slowest = max(latencies, key=lambda latency: latency["p99"])
    return {
        "load_seconds": round(load_seconds, 3),
        "latency_ms": slowest,
        "largest_difference": max(differences),
    }


def _difference(
    call: WarmupCall, answered: dict[str, np.ndarray], tolerance: float, what: str
) -> float:
    """Largest difference of numbers; Fault where it is too large or anything else differs."""
    if answered.keys() != call.outputs.keys():
        raise Fault(f"{what}: recorded {sorted(call.outputs)}, answered {sorted(answered)}")
    largest = 0.0
    for name, value in answered.items():
        recorded = call.outputs[name]
        for got, wanted in ((value.dtype, recorded.dtype), (value.shape, recorded.shape)):
            if got != wanted:
                raise Fault(f"{what}: {name} was recorded as {wanted}, answered as {got}")
        if value.dtype.kind == "f":
            if not np.all(np.isfinite(value)):
                raise Fault(f"{what}: {name} is not finite")
            difference = float(np.max(np.abs(value - recorded), initial=0.0))
            if not difference <= tolerance:  # also where what was recorded is no number
                raise Fault(
                    f"{what}: {name} differs by {difference:.2g} from what was recorded at export, "
                    f"at most {tolerance:g} is accepted"
                )
            largest = max(largest, difference)
        elif not np.array_equal(value, recorded):
            raise Fault(f"{what}: {name} is not what was recorded at export")
    return largest


def _latency_ms(answer: Callable[[], object]) -> dict[str, float]:
    seconds: list[float] = []
    begun = time.perf_counter()
    while len(seconds) < _MOST_CALLS and (
        len(seconds) < _LEAST_CALLS or time.perf_counter() - begun < _SECONDS
    ):
        started = time.perf_counter()
        answer()
        seconds.append(time.perf_counter() - started)
    p50, p99 = np.percentile(seconds, [50, 99]) * 1000
    return {"p50": round(float(p50), 4), "p99": round(float(p99), 4)}


def _line(error: Exception) -> str:
    text = re.sub(r"\{\{function_node [^{}]*\}\}", "", f"{type(error).__name__}: {error}")
    return " ".join(text.split())[:500]


def main() -> None:
    for name in _NOT_THERE:
        sys.modules[name] = None  # type: ignore[assignment]  # to import it fails
    try:
        found = replay(Path(sys.argv[1]), float(sys.argv[2]))
    except Fault as fault:
        found = {"fault": str(fault)}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
