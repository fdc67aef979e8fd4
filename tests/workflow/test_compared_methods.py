"""``pretrain.compare`` makes stages, and gives each embedding its role in the report."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tfrec_vis.errors import InputError
from tfrec_vis.pretraining import PretrainSettings
from tfrec_vis.recipes import load_recipe
from tfrec_vis.recipes.recipe import Recipe
from tfrec_vis.workflow import evaluated, stages
from tfrec_vis.workflow.stages import build_stages

COMPARE = ("random", "imagenet", "simclr", "no_contrast", "small_pool")
SIMCLR = ("pretrain.compare=[simclr, small_pool]",)


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


SEEDS = "pretrain.seeds={courier: 3, simclr: 2, small_pool: 1}"


def test_seeds_are_further_trainings(simulated_shop: Path, tmp_path: Path) -> None:
    shop = simulated_shop / "recipe.yaml"
    compare = f"pretrain.compare=[{', '.join(COMPARE)}]"
    once = build_stages(load_recipe(shop, [compare, "pretrain.seed=7"]), tmp_path)
    made = build_stages(load_recipe(shop, [compare, "pretrain.seed=7", SEEDS]), tmp_path)
    trained = {stage.folder.name: stage for stage in made if stage.name == "pretrain"}
    assert list(trained) == [
        *("courier", "courier-seed1", "courier-seed2"),
        *("simclr", "simclr-seed1"),
        *("no_contrast", "small_pool"),
    ]
    assert {name: stage.inputs["seed"] for name, stage in trained.items()} == {
        **dict.fromkeys(trained, 7),
        "courier-seed1": 8,
        "courier-seed2": 9,
        "simclr-seed1": 8,
    }
    alike = {name: stage.inputs | {"seed": 7} for name, stage in trained.items()}
    assert alike["courier"] == alike["courier-seed1"] == alike["courier-seed2"]
    embedded = [stage.folder.name for stage in made if stage.name == "embed"]
    assert embedded == [*trained, "imagenet", "random", "truth"]
    # What was trained once is not trained again for it.
    done = {stage.fingerprint for stage in made}
    assert {stage.fingerprint for stage in once if stage.name in ("pretrain", "embed")} < done


def test_a_further_training_has_its_seed(
    simulated_shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {}

    def train(prepared: Path, out: Path, settings: PretrainSettings, *_: object) -> None:
        asked[out.name] = (settings.method, settings.seed, settings.seeds)

    monkeypatch.setattr(stages, "train", train)
    for stage in build_stages(
        load_recipe(simulated_shop / "recipe.yaml", [SEEDS, *SIMCLR]), tmp_path
    ):
        if stage.name == "pretrain":
            stage.make(tmp_path / stage.folder.name)
    assert asked == {
        "courier": ("courier", 0, {}),
        "courier-seed1": ("courier", 1, {}),
        "courier-seed2": ("courier", 2, {}),
        "simclr": ("simclr", 0, {}),
        "simclr-seed1": ("simclr", 1, {}),
        "small_pool": ("courier", 0, {}),
    }


def test_semantic_ids_are_asked_for_before_anything_runs(
    simulated_shop: Path, tmp_path: Path
) -> None:
    shop, feature = simulated_shop / "recipe.yaml", "evaluate.features=[vector, vector+semantic_id]"
    with pytest.raises(InputError, match="semantic_id needs semantic ids; set embed.semantic_lev"):
        build_stages(load_recipe(shop, [feature]), tmp_path)
    build_stages(load_recipe(shop, [feature, "embed.semantic_levels=2"]), tmp_path)


def test_a_name_of_a_further_training_is_taken(simulated_shop: Path, tmp_path: Path) -> None:
    external = "embed.external={courier-seed1: log.csv}"
    asked = load_recipe(simulated_shop / "recipe.yaml", [SEEDS, *SIMCLR, external])
    with pytest.raises(InputError, match="embed.external: the name courier-seed1 is taken"):
        build_stages(asked, tmp_path)


@pytest.mark.parametrize("method", ["courier", "supervised"])
def test_roles(
    simulated_shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    roles = {}

    def run_experiment(prepared: Path, compared: list, *_: object) -> dict:
        roles.update(compared)
        return {}

    def read_vectors(folder: Path, _: Path, role: str, name: str, seed: int) -> tuple:
        assert folder.name == (f"{name}-seed1" if seed == 12 else name)
        return (name, seed), role

    monkeypatch.setattr(evaluated, "run_experiment", run_experiment)
    monkeypatch.setattr(evaluated, "read_vectors", read_vectors)
    asked = recipe(simulated_shop, tmp_path, method)
    seeds = {method: 2, "small_pool": 2}
    asked = replace(asked, pretrain=replace(asked.pretrain, seed=11, seeds=seeds))
    made = build_stages(asked, tmp_path)
    (tmp_path / "evaluation").mkdir()
    next(stage for stage in made if stage.name == "evaluate").make(tmp_path / "evaluation")
    assert json.loads((tmp_path / "evaluation/report.json").read_text())["settings"]
    assert roles == {
        (method, 11): "courier",  # what the recipe is about
        (method, 12): "courier",
        ("simclr", 11): "baseline",
        ("random", 0): "baseline",
        ("imagenet", 0): "baseline",
        ("no_contrast", 11): "ablation",
        ("small_pool", 11): "ablation",
        ("small_pool", 12): "ablation",
        ("truth", 0): "oracle",
    }
