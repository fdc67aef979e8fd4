"""What TFX knows a cached result by."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("tfx.version", reason="needs TFX, see docs/tfx.md: make test-tfx")

from tfrec_vis.recipes import Recipe, load_recipe  # noqa: E402
from tfrec_vis.tfx_components import parameters  # noqa: E402
from tfrec_vis.tfx_components.parameters import to_recipe  # noqa: E402

STAGES = ("prepare", "pretrain", "embed", "evaluate")


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    (tmp_path / "log.csv").write_text("user,item,time\na,1,5\n")
    (tmp_path / "items.csv").write_text("item,photo\n1,1.jpg\n")
    text = """
source:
  kind: table
  interactions: {path: log.csv, columns: {user_id: user, item_id: item, timestamp: time}}
  catalogue: {path: items.csv, columns: {item_id: item, image: photo}}
  images: photos/
prepare: {image_size: 48, splits: [0.5, 0.6, 0.8]}
pretrain: {encoder: swin_micro, compare: [simclr], seeds: {courier: 2}}
embed: {clusters: 7}
evaluate: {features: [none, vector], protocols: [scratch]}
"""
    path = tmp_path / "shop.yaml"
    path.write_text(text)
    return load_recipe(path)


def test_a_component_sees_the_recipe_up_to_its_stage(recipe: Recipe) -> None:
    texts = parameters(recipe, "evaluate")
    assert set(texts) == {"source", *STAGES, "identity"}
    del texts["identity"]
    assert to_recipe(**texts) == recipe
    pretrain = parameters(recipe, "pretrain")
    assert set(pretrain) == {"source", "prepare", "pretrain", "identity"}
    del pretrain["identity"]
    seen = to_recipe(**pretrain)
    assert (seen.prepare, seen.pretrain) == (recipe.prepare, recipe.pretrain)
    assert seen.embed != recipe.embed


def changed_stages(a: Recipe, b: Recipe) -> list[str]:
    return [stage for stage in STAGES if parameters(a, stage) != parameters(b, stage)]


def test_what_a_change_makes_anew(recipe: Recipe) -> None:
    assert changed_stages(recipe, recipe) == []
    other = replace(recipe, embed=replace(recipe.embed, clusters=8))
    assert changed_stages(recipe, other) == ["embed", "evaluate"]
    other = replace(recipe, evaluate=replace(recipe.evaluate, seeds=9))
    assert changed_stages(recipe, other) == ["evaluate"]
    other = replace(recipe, pretrain=replace(recipe.pretrain, epochs=9))
    assert changed_stages(recipe, other) == ["pretrain", "embed", "evaluate"]


def test_a_changed_log_is_prepared_anew(recipe: Recipe) -> None:
    before = parameters(recipe, "prepare")
    os.utime(recipe.folder / "log.csv", (5, 5))
    assert parameters(recipe, "prepare")["identity"] != before["identity"]


def test_another_version_of_the_package_makes_all_anew(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {stage: parameters(recipe, stage)["identity"] for stage in STAGES}
    monkeypatch.setattr("tfrec_vis.__version__", "9.9.9")
    for stage, text in before.items():
        assert json.loads(text)["tfrec_vis"] != "9.9.9"
        assert json.loads(parameters(recipe, stage)["identity"])["tfrec_vis"] == "9.9.9"
