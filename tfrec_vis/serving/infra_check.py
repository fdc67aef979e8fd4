"""Whether a SavedModel works where it will be served; imports no TensorFlow."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import tfrec_vis
from tfrec_vis.errors import InputError, NotPublished
from tfrec_vis.serving.abandoned import PARTIAL

_TIMEOUT = 900.0
"""Seconds for loading and all calls."""


def infra_check(
    folder: Path, *, max_latency_ms: float | None = None, tolerance: float = 1e-5
) -> dict[str, Any]:
    """Loads a SavedModel in a fresh process and replays its warm-up requests there.

    The process has TensorFlow and nothing else: neither Keras nor tensorflow-io can be imported
    in it, and it computes on the CPU. Every answer must have the names, types and shapes of the
    recorded one, numbers within the tolerance, texts and whole numbers the same. Then the calls
    of ``serving_default`` are timed, warm.

    Args:
        folder: a SavedModel with ``assets.extra/tf_serving_warmup_requests``.
        max_latency_ms: the highest 99th percentile that is accepted; None: any.
        tolerance: the largest accepted |answer - recorded answer|.

    Returns:
        {"load_seconds", "latency_ms": {"p50", "p99"} of the slowest call of ``serving_default``,
        "largest_difference"}.

    Raises:
        InputError: `folder` holds no SavedModel.
        NotPublished: it does not load, cannot answer, answers differently or too slowly.
    """
    folder = folder.absolute()
    if not (folder / "saved_model.pb").is_file():
        raise InputError(f"{folder}: no saved_model.pb in it; name the folder of a version")
    # A folder that is being published is gone when the message is read.
    name = folder.parent.name if folder.name.startswith(PARTIAL) else folder
    found = _replay(folder, tolerance)
    if fault := found.pop("fault", None):
        raise NotPublished(f"{name}: {fault}")
    p99 = found["latency_ms"]["p99"]
    if max_latency_ms is not None and p99 > max_latency_ms:
        raise NotPublished(
            f"{name}: 99 % of its answers came within {p99:.3g} ms, at most {max_latency_ms:g} "
            "ms were asked for (max_latency_ms); check on an idle machine, or raise the bound"
        )
    return found


def _replay(folder: Path, tolerance: float) -> dict[str, Any]:
    """What ``serving/replay.py`` printed, or the fault that it could not print itself."""
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-m", "tfrec_vis.serving.replay", str(folder), str(tolerance)]
    try:
        done = subprocess.run(
            command,
            cwd=Path(tfrec_vis.__file__).parents[1],  # from where the package is imported
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT,
        )
    except subprocess.TimeoutExpired:
        return {"fault": f"loading and answering took more than {_TIMEOUT:.0f} s"}
    if done.returncode == 0:
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        return {"fault": f"the process that loaded it ended with {name}"}
    last = (done.stderr.strip().splitlines() or ["no message"])[-1]
    return {"fault": f"the process that loaded it failed: {last[:500]}"}
