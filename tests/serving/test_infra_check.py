from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tfrec_vis.errors import InputError, NotPublished
from tfrec_vis.serving import WarmupCall, infra_check, publish, versions, write_warmup
from tfrec_vis.serving.replay import Fault, replay

X = np.array([0.5, -2.0, 3.0], np.float32)
CALL = WarmupCall(
    {"x": X},
    {
        "double": np.array([1.0, -4.0, 6.0], np.float32),
        "whole": np.array([0, -2, 3], np.int64),
        "text": np.array([b"0.5", b"-2", b"3"], object),
    },
)
SECOND = WarmupCall({"x": X[:2]}, {"root": np.array([0.25, 4.0], np.float32)}, "squares")


class _Model(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")], autograph=False)
    def numbers(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        tf.debugging.assert_less(x, 100.0, message="x is too large")
        text = tf.strings.as_string(x, shortest=True)
        return {"double": 2 * x, "whole": tf.cast(x, tf.int64), "text": text}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")], autograph=False)
    def squares(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"root": tf.square(x)}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "saved"
    model = _Model()
    signatures = {"serving_default": model.numbers, "squares": model.squares}
    tf.saved_model.save(model, str(folder), signatures)
    return folder


@pytest.fixture
def model(saved: Path, tmp_path: Path) -> Path:
    return shutil.copytree(saved, tmp_path / "model")


def outputs(**changed: Any) -> WarmupCall:
    return replace(CALL, outputs={**CALL.outputs, **changed})


def test_what_it_tells(model: Path) -> None:
    almost = outputs(double=CALL.outputs["double"] + np.array([0, 4e-6, 0], np.float32))
    write_warmup(model, [almost, SECOND], "model")
    found = infra_check(model)
    assert set(found) == {"load_seconds", "latency_ms", "largest_difference"}
    assert found["largest_difference"] == pytest.approx(4e-6, rel=0.2)
    assert 0 < found["latency_ms"]["p50"] <= found["latency_ms"]["p99"] < 1000
    assert 0 < found["load_seconds"] < 60


def test_before_a_publication(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is published, and the message does not name the folder that is gone."""
    done = subprocess.CompletedProcess([], 0, '{"fault": "cannot be loaded: no"}', "")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    with pytest.raises(NotPublished, match="^ranker: cannot be loaded: no$"):
        publish(model, tmp_path / "models", "ranker", infra_check)
    assert versions(tmp_path / "models/ranker") == []


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (outputs(double=np.array([1.0, -4.0, 6.001], np.float32)), r"double differs by 0.001"),
        (outputs(double=np.array([1.0, -4.0, np.nan], np.float32)), r"double differs by nan"),
        (outputs(double=np.array([1.0, -4.0, np.inf], np.float32)), r"double differs by inf"),
        (outputs(double=np.array([1.0, -4.0], np.float32)), r"recorded as \(2,\), answered as \("),
        (outputs(double=np.array([1.0, -4.0, 6.0])), r"recorded as float64, answered as float32"),
        (outputs(whole=np.array([0, -2, 4])), r"whole is not what was recorded"),
        (outputs(text=np.array([b"0.5", b"-2", b"4"], object)), r"text is not what was"),
        (outputs(more=X), r"recorded \['double', 'more', 'text', 'whole'\], answered \['double'"),
        (replace(CALL, signature="cold"), r"no such signature; there are serving_default, squares"),
        (replace(CALL, inputs={"x": X + 200}), r"\(serving_default\) fails: .*x is too large"),
        (replace(CALL, inputs={"y": X}), r"\(serving_default\) fails: "),
        (
            WarmupCall({"x": np.array([np.nan], np.float32)}, {"root": X[:1]}, "squares"),
            r"call 1 \(squares\): root is not finite",
        ),
    ],
)
def test_what_is_refused(call: WarmupCall, message: str, model: Path) -> None:
    write_warmup(model, [call] if call.signature == "serving_default" else [CALL, call], "model")
    with pytest.raises(Fault, match=message) as fault:
        replay(model, 1e-5)
    assert len(str(fault.value).splitlines()) == 1


def test_the_tolerance(model: Path) -> None:
    write_warmup(model, [outputs(double=CALL.outputs["double"] + np.float32(0.01))], "model")
    assert replay(model, 0.02)["largest_difference"] == pytest.approx(0.01, rel=1e-3)
    with pytest.raises(Fault, match="at most 0.005 is accepted"):
        replay(model, 0.005)


def test_no_rows(model: Path) -> None:
    none = {name: value[:0] for name, value in CALL.outputs.items()}
    write_warmup(model, [WarmupCall({"x": X[:0]}, none)], "model")
    assert replay(model, 1e-5)["largest_difference"] == 0


@pytest.mark.parametrize("calls", [None, [], [SECOND]])
def test_needs_something_to_replay(calls: list[WarmupCall] | None, model: Path) -> None:
    if calls is not None:
        write_warmup(model, calls, "model")
    with pytest.raises(Fault, match="no call of serving_default in assets.extra"):
        replay(model, 1e-5)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("saved_model.pb", "cannot be loaded"),
        ("assets.extra/tf_serving_warmup_requests", "cannot be read"),
    ],
)
def test_damaged_files(file: str, message: str, model: Path) -> None:
    write_warmup(model, [CALL], "model")
    (model / file).write_bytes(b"damaged" * 20)
    with pytest.raises(Fault, match=message):
        replay(model, 1e-5)


def test_the_bound_of_the_latency(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The replay is of a kind that took exactly 12.5 ms."""

    def run(*_: object, **__: object) -> subprocess.CompletedProcess[str]:
        line = '{"load_seconds": 1, "latency_ms": {"p50": 3, "p99": 12.5}, "largest_difference": 0}'
        return subprocess.CompletedProcess([], 0, f"chatter\n{line}\n", "")

    monkeypatch.setattr(subprocess, "run", run)
    assert infra_check(model, max_latency_ms=12.5)["latency_ms"]["p99"] == 12.5
    with pytest.raises(NotPublished, match=r"within 12.5 ms, at most 12 ms"):
        infra_check(model, max_latency_ms=12)


@pytest.mark.parametrize(
    ("code", "written", "message"),
    [
        (-11, "", "ended with SIGSEGV"),
        (1, "Traceback\nImportError: no tensorflow\n", "failed: ImportError: no tensorflow"),
        (3, "", "failed: no message"),
    ],
)
def test_a_process_that_dies(
    code: int, written: str, message: str, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = subprocess.CompletedProcess([], code, "", written)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    with pytest.raises(NotPublished, match=message):
        infra_check(model)


def test_a_process_that_hangs(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: object, timeout: float, **__: object) -> None:
        raise subprocess.TimeoutExpired([], timeout)

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(NotPublished, match="took more than 900 s"):
        infra_check(model)


def test_a_folder_without_model(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no saved_model.pb in it; name the folder of a version"):
        infra_check(tmp_path)


def test_an_operation_that_is_only_in_the_exporting_process(tmp_path: Path) -> None:
    """Python functions are in no graph; a fresh process shows it."""

    def one(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": tf.ensure_shape(tf.py_function(lambda v: v + 1, [x], tf.float32), [None])}

    folder = tmp_path / "model"
    call = tf.function(one, autograph=False).get_concrete_function(
        tf.TensorSpec([None], tf.float32, name="x")
    )
    tf.saved_model.save(tf.Module(), str(folder), {"serving_default": call})
    write_warmup(folder, [WarmupCall({"x": X}, {"y": X + 1})], "model")
    assert replay(folder, 1e-5)["largest_difference"] == 0  # here it works
    with pytest.raises(NotPublished, match=r"warm-up call 0 \(serving_default\) fails"):
        infra_check(folder)
