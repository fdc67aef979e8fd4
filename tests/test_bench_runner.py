from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """tests/benchmarks/run.py on a folder of its own."""
    path = Path(__file__).parent / "benchmarks/run.py"
    spec = importlib.util.spec_from_file_location("bench_runner", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "HERE", tmp_path)
    monkeypatch.setattr(module, "RESULT", tmp_path / "docs/benchmarks.md")
    return module


def add(folder: Path, name: str, body: str) -> None:
    (folder / f"bench_{name}.py").write_text(f"def rows():\n    {body}\n")


def test_writes_every_row_with_machine_and_versions(runner: ModuleType, tmp_path: Path) -> None:
    add(
        tmp_path,
        "b",
        "return [dict(what='b|c', target='< 1 s', measured='0.4 s', holds=True)]",
    )
    add(tmp_path, "a", "return [dict(what='a', target='', measured='7', holds=None)]")
    assert runner.main([]) == 0
    text = (tmp_path / "docs/benchmarks.md").read_text()
    assert text.endswith("| a |  | 7 |  |\n| b\\|c | < 1 s | 0.4 s | yes |\n")
    assert "make bench" in text
    assert "cores" in text
    assert "tensorflow 2.16" in text


def test_a_target_missed_or_a_failure_is_shown_and_told(runner: ModuleType, tmp_path: Path) -> None:
    add(tmp_path, "broken", "raise OSError('no disk')")
    add(tmp_path, "slow", "return [dict(what='slow', target='1', measured='2', holds=False)]")
    assert runner.main([]) == 1
    text = (tmp_path / "docs/benchmarks.md").read_text()
    assert "| bench_broken |  | failed: OSError: no disk | **no** |" in text
    assert "| slow | 1 | 2 | **no** |" in text


def test_chosen_ones_are_printed_and_not_written(
    runner: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(tmp_path, "a", "return [dict(what='wanted', target='', measured='7', holds=None)]")
    add(tmp_path, "b", "raise OSError('not to be run')")
    assert runner.main(["bench_a"]) == 0
    assert "wanted" in capsys.readouterr().out
    assert not (tmp_path / "docs").exists()
    with pytest.raises(SystemExit) as stop:
        runner.main(["bench_c"])
    assert stop.value.code == 2
