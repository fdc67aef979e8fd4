"""``pretrain.compare`` makes stages, and gives each embedding its role in the report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tfrec_vis.recipes import load_recipe
from tfrec_vis.recipes.recipe import Recipe
from tfrec_vis.workflow import stages
from tfrec_vis.workflow.stages import build_stages

COMPARE = ("random", "imagenet", "simclr", "no_contrast", "small_pool")


def recipe(shop: Path, folder: Path, method: str = "courier") -> Recipe:
    overrides = [f"pretrain.compare=[{', '.join(COMPARE)}]", f"pretrain.method={method}"]
    return load_recipe(shop / "recipe.yaml", overrides)


def test_stages(simulated_shop: Path, tmp_path: Path) -> None:
    made = build_stages(recipe(simulated_shop, tmp_path), tmp_path)
    names = [(stage.name, stage.folder.name) for stage in made]
    trained = ["courier", "simclr", "no_contrast", "small_pool"]
    assert names == [
        ("prepare", "prepared"),
        *(("pretrain", name) for name in trained),
        *(("embed", name) for name in (*trained, "imagenet", "random", "truth")),
        ("evaluate", "evaluation"),
        ("export", "exported"),
    ]
    of_name = {stage.folder.name: stage for stage in made if stage.name == "pretrain"}
    assert of_name["small_pool"].inputs["batch_size"] * 8 == of_name["courier"].inputs["batch_size"]
    assert of_name["simclr"].inputs["method"] == "simclr"
    assert all(stage.inputs["compare"] == () for stage in of_name.values())
    assert len({stage.fingerprint for stage in made}) == len(made)


def test_a_further_name_trains_no_other_again(simulated_shop: Path, tmp_path: Path) -> None:
    few = build_stages(load_recipe(simulated_shop / "recipe.yaml"), tmp_path)
    many = build_stages(recipe(simulated_shop, tmp_path), tmp_path)
    alone = next(stage for stage in few if stage.name == "pretrain")
    assert alone.fingerprint in {stage.fingerprint for stage in many if stage.name == "pretrain"}


@pytest.mark.parametrize("method", ["courier", "supervised"])
def test_roles(
    simulated_shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    roles = {}

    def run_experiment(prepared: Path, compared: list, *_: object) -> dict:
        roles.update(compared)
        return {}

    monkeypatch.setattr(stages, "run_experiment", run_experiment)
    monkeypatch.setattr(stages, "read_vectors", lambda folder, _, role: (folder.name, role))
    made = build_stages(recipe(simulated_shop, tmp_path, method), tmp_path)
    (tmp_path / "evaluation").mkdir()
    next(stage for stage in made if stage.name == "evaluate").make(tmp_path / "evaluation")
    assert json.loads((tmp_path / "evaluation/report.json").read_text())["settings"]
    assert roles == {
        method: "courier",  # what the recipe is about
        "simclr": "baseline",
        "random": "baseline",
        "imagenet": "baseline",
        "no_contrast": "ablation",
        "small_pool": "ablation",
        "truth": "oracle",
    }
