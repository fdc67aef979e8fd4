from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tfrec_vis import workflow
from tfrec_vis.cli import app
from tfrec_vis.recipes import load_recipe

stages = importlib.import_module("tfrec_vis.workflow.stages")


@pytest.fixture
def recipe(simulated_shop: Path) -> Path:
    return simulated_shop / "recipe.yaml"


@pytest.mark.parametrize("wanted", [False, True])
def test_reaches_the_training(recipe, tmp_path, monkeypatch, wanted):
    asked = []
    monkeypatch.setattr(stages, "train", lambda *arguments: asked.append(arguments))
    made = stages.build_stages(load_recipe(recipe), tmp_path, profile=wanted)
    stage = next(stage for stage in made if stage.name == "pretrain")
    stage.make(tmp_path)
    ((prepared, out, settings, logs, profile),) = asked
    assert (prepared, out, logs) == (tmp_path / "prepared", tmp_path, tmp_path / "logs/courier")
    assert profile is wanted
    # Not a setting: what is trained is the same.
    plain = stages.build_stages(load_recipe(recipe), tmp_path)
    assert [one.fingerprint for one in made] == [one.fingerprint for one in plain]


@pytest.mark.parametrize("command", ["run", "pretrain"])
def test_is_an_option_of_the_commands(recipe, tmp_path, monkeypatch, command):
    asked = []
    monkeypatch.setattr(workflow, "run_recipe", lambda *arguments: asked.append(arguments[-1]))
    for options in ([], ["--profile"]):
        arguments = [command, str(recipe), "--work", str(tmp_path / "work"), *options]
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output
    assert asked == [False, True]
