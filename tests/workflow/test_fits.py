from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tfrec_vis.errors import InputError
from tfrec_vis.recipes import load_recipe
from tfrec_vis.recipes.recipe import Recipe
from tfrec_vis.workflow.fits import check_fits
from tfrec_vis.workflow.run import run_recipe


def recipe(folder: Path, clusters: int) -> Recipe:
    path = folder / "shop.yaml"
    path.write_text(
        "source: {kind: table, interactions: {path: log.csv}, catalogue: {path: items.csv}, "
        f"images: .}}\nembed: {{clusters: {clusters}}}\n"
    )
    return load_recipe(path)


def test_a_fitting_recipe_passes(tmp_path: Path, prepared_shop: Path) -> None:
    check_fits(recipe(tmp_path, 5), prepared_shop)


def test_too_many_clusters_are_named_before_training(tmp_path: Path, prepared_shop: Path) -> None:
    with pytest.raises(InputError, match=r"embed\.clusters: 900 clusters need as many items"):
        check_fits(recipe(tmp_path, 900), prepared_shop)


def test_too_many_codes_are_named_before_training(tmp_path: Path, prepared_shop: Path) -> None:
    asked = recipe(tmp_path, 5)
    asked = replace(asked, embed=replace(asked.embed, semantic_codes=900))
    check_fits(asked, prepared_shop)
    asked = replace(asked, embed=replace(asked.embed, semantic_levels=2))
    with pytest.raises(InputError, match=r"embed\.semantic_codes: 900 clusters need as many items"):
        check_fits(asked, prepared_shop)


def test_a_history_that_cannot_be_exported_is_named_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tfrec_vis.workflow.run.build_stages", lambda *_: [])
    asked = recipe(tmp_path, 5)
    longer = replace(
        asked,
        evaluate=replace(asked.evaluate, history=60),
        prepare=replace(asked.prepare, max_history=60),
    )
    with pytest.raises(InputError, match=r"evaluate\.history: .* at most 50 clicks, got 60"):
        run_recipe(longer, tmp_path / "work")
    run_recipe(longer, tmp_path / "work", until="evaluate")  # export is not asked for


def test_what_evaluate_names_is_looked_for_before_training(
    tmp_path: Path, prepared_shop: Path
) -> None:
    asked = recipe(tmp_path, 5)
    for name, told in (
        ("slices", "evaluate.slices: the data have no declared feature 'postion'; did you mean "),
        ("images_off", "evaluate.images_off: no item is of category 'postion'; known: "),
    ):
        changed = replace(asked, evaluate=replace(asked.evaluate, **{name: ["postion"]}))
        with pytest.raises(InputError, match=told):
            check_fits(changed, prepared_shop)
    check_fits(replace(asked, evaluate=replace(asked.evaluate, slices=["position"])), prepared_shop)


@pytest.mark.parametrize(("split", "clicks"), [("test", 0), ("train", "rows"), ("validation", 0)])
def test_rows_of_one_class_are_named_before_training(
    tmp_path: Path, prepared_shop: Path, split: str, clicks: int | str
) -> None:
    copy = tmp_path / "prepared"
    shutil.copytree(prepared_shop, copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    counts = manifest["splits"][split]
    counts["clicks"] = counts["rows"] if clicks == "rows" else clicks
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=f"{split} rows are clicked"):
        check_fits(recipe(tmp_path, 5), copy)


@pytest.mark.parametrize(
    "labels, negatives, told",
    [
        (True, 4, "leave clicked out of source.interactions.columns"),
        (False, 0, "set prepare.negatives to 1 or more"),
        (False, 4, "raise prepare.negatives_window_days"),
    ],
)
def test_what_mends_rows_of_one_class(
    tmp_path: Path, prepared_shop: Path, labels: bool, negatives: int, told: str
) -> None:
    manifest = json.loads((prepared_shop / "manifest.json").read_text())
    manifest["splits"]["train"]["clicks"] = manifest["splits"]["train"]["rows"]
    manifest["has_labels"], manifest["settings"]["negatives"] = labels, negatives
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=told) as error:
        check_fits(recipe(tmp_path, 5), tmp_path)
    assert ("leave clicked out" in str(error.value)) == labels
