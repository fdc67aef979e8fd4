"""The script that each process of a training over several runs."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "pipelines/pretrain_workers.py"


def test_the_users_fault_is_one_line_and_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), str(tmp_path / "none.yaml"), "a", "b"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    error = capsys.readouterr().err
    assert ended.value.code == 2 and error.count("\n") == 1
    assert error.startswith("error: ") and "cannot read the recipe" in error


WORKERS = {"worker": ["a:1", "b:1"]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "not set; name the processes"),
        ("{'cluster'", "no JSON"),
        ("[]", '"cluster": {"worker"'),
        (json.dumps({"cluster": {"worker": []}}), '"cluster": {"worker"'),
        (json.dumps({"cluster": {**WORKERS, "chief": ["c:1"]}}), '"cluster": {"worker"'),
        (json.dumps({"cluster": WORKERS}), '"task": {"type": "worker", "index": 0}'),
        (
            json.dumps({"cluster": WORKERS, "task": {"type": "worker", "index": 2}}),
            "task.index: expected 0 to 1, got 2",
        ),
        (
            json.dumps({"cluster": WORKERS, "task": {"type": "worker"}}),
            "task.index: expected 0 to 1, got None",
        ),
    ],
)
def test_the_cluster_is_checked_before_training(
    text: str | None,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recipe = tmp_path / "shop.yaml"
    recipe.write_text("source: {kind: simulated}\n")
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), str(recipe), "a", "b"])
    if text is None:
        monkeypatch.delenv("TF_CONFIG", raising=False)
    else:
        monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    error = capsys.readouterr().err
    assert ended.value.code == 2 and error.count("\n") == 1
    assert error.startswith("error: TF_CONFIG: ") and message in error
    assert error.endswith("; see docs/devices.md\n")


def test_a_cluster_that_is_right() -> None:
    check = runpy.run_path(str(SCRIPT))["check_cluster"]
    assert check(json.dumps({"cluster": WORKERS, "task": {"type": "worker", "index": 1}})) is None
