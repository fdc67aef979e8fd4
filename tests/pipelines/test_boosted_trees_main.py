"""Gradient-boosted trees on a work folder's rows."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from tfrec_vis.data import read_items
from tfrec_vis.embeddings import EmbedSettings, embed_features, read_external
from tfrec_vis.errors import InputError
from tfrec_vis.evaluation import EvaluateSettings
from tfrec_vis.evaluation.rows import Rows
from tfrec_vis.ranking import Ranker

SCRIPT = Path(__file__).resolve().parents[2] / "pipelines/boosted_trees.py"


@pytest.fixture(scope="module")
def module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("boosted_trees_main", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    # Fewer trees than a real log wants.
    module.TREES = ({"max_iter": 20, "max_leaf_nodes": 4}, {"max_iter": 10, "max_leaf_nodes": 4})
    return module


@pytest.fixture(scope="module")
def work(small_shop: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shop's true attributes as the embedding."""
    shop, prepared = small_shop
    folder = tmp_path_factory.mktemp("work")
    shutil.copytree(prepared, folder / "prepared")
    known, vectors = read_external(shop / "truth/embedding.parquet")
    items = read_items(prepared, pictures=False).item_id[1:]
    features = vectors[[list(known).index(item) for item in items]]
    embed_features(features, prepared, EmbedSettings(clusters=5), "truth").write(
        folder / "embeddings/truth"
    )
    return folder


@pytest.fixture(scope="module")
def rows(work: Path) -> Rows:
    return Rows.read(work / "prepared", history=6, min_count=1)


def test_prints_and_writes_what_pictures_add(module, small_shop, work, capsys) -> None:
    recipe = str(small_shop[0] / "recipe.yaml")
    sets = ["evaluate.history=6", "evaluate.seeds=2", "evaluate.epochs=1"]
    options = ["--work", str(work), "--samples", "2", *(f"--set={given}" for given in sets)]
    module.main([recipe, *options])
    written = json.loads((work / "boosted_trees.json").read_text())
    results = written["rows"]
    names = ["none", "truth", "truth, shuffled"]
    found = [(row["setting"], row["sample"], row["pictures"]) for row in results]
    settings = [("ranker", 0), ("values", 0), ("purchases", 0), ("purchases", 1)]
    assert found == [(*setting, name) for setting in settings for name in names]
    auc = {row["pictures"]: row["auc"] for row in results if row["setting"] == "ranker"}
    assert auc["truth"] > max(auc["none"], auc["truth, shuffled"])
    printed = capsys.readouterr().out
    assert f"| ranker | truth | {auc['truth']:.4f} |" in printed
    assert f"{100 * (auc['truth'] - auc['none']):+.2f}" in printed
    mean = np.mean(
        [r["auc"] for r in results if (r["setting"], r["pictures"]) == ("purchases", "none")]
    )
    assert f"| purchases | none | {mean:.4f} |  |" in printed
    assert f"DIN without pictures: AUC {np.mean(written['din']):.4f} (sd" in printed
    for setting, found in zip(("ranker", "values"), written["din_minus_trees"], strict=True):
        trees = next(r["auc"] for r in results if r["setting"] == setting)
        assert found["setting"] == setting
        assert found["difference"] == pytest.approx(np.mean(written["din"]) - trees)
        low, high = found["ci95"]
        told = "not distinguishable" if low <= 0 <= high else "distinguishable"
        assert f"| {setting} | {100 * found['difference']:+.2f} |" in printed
        assert f"{100 * high:+.2f} | {told} |" in printed


def test_features_equal_a_loop(module, work, rows) -> None:
    vectors = module.read_vectors(work, "truth", rows)
    test, values = rows.split["test"].take(np.arange(120)), rows.tables.values
    assert (test.history == 0).any(axis=1).sum() > 10
    known = module.features(rows.tables, test, ("clicks: events",))
    everything = module.joined(known, test, vectors)
    assert known.shape[1] == 1 + values.shape[1] and everything.shape[1] == known.shape[1] + 3
    for row, (item, history) in enumerate(zip(test.item_index, test.history, strict=True)):
        clicks = [other for other in history if other]
        for a in range(values.shape[1]):
            same = sum(values[other, a] == values[item, a] != 0 for other in clicks)
            assert known[row, 1 + a] == pytest.approx(same / max(len(clicks), 1), abs=1e-6)
        cosines = sorted((float(vectors[item] @ vectors[o]) for o in clicks), reverse=True)
        expected = [np.mean(cosines), cosines[0], np.mean(cosines[:3])] if clicks else [0, 0, 0]
        np.testing.assert_allclose(everything[row, -3:], expected, atol=1e-5)
    few = module.features(rows.tables, test, ("clicks: events",), without=("item_id",))
    assert few.shape[1] == values.shape[1]


def test_trees_are_chosen_on_held_out_rows(module, monkeypatch) -> None:
    """Leaves of one row learn noise by heart: best on what they were fitted to, not beyond."""
    noisy = {"max_iter": 30, "max_leaf_nodes": 100, "min_samples_leaf": 1}
    plain = {"max_iter": 20, "max_leaf_nodes": 2}
    monkeypatch.setattr(module, "TREES", (noisy, plain))
    random = np.random.default_rng(0)
    x = random.normal(size=(2_000, 3))
    y = (x[:, 0] + 2 * random.normal(size=2_000) > 0).astype(int)
    chosen = module.choose(x[:500], y[:500], x[500:], y[500:])
    assert chosen == {**plain, "early_stopping": False, "random_state": 0}
    assert module.choose(x, y, x, y)["min_samples_leaf"] == 1


def test_areas_are_those_of_models_fitted_by_hand(module, rows) -> None:
    """On all that the ranker reads as numbers, and on it with the values as categories."""
    plain, valued = module.of_ranker(rows, {})
    train, test = rows.split["train"], rows.split["test"]
    ranker = Ranker(rows.tables)
    x = {n: ranker.numbers(rows.inputs[n]).numpy() for n in ("train", "test")}
    values = {n: rows.tables.values[rows.split[n].item_index] for n in x}  # each below 255
    columns = list(range(rows.tables.values.shape[1]))
    assert plain["trees"].get("categorical_features") is None
    assert valued["trees"]["categorical_features"] == columns
    for result in (plain, valued):
        if result is valued:
            x = {n: np.concatenate([values[n], x[n]], axis=1) for n in x}
        model = HistGradientBoostingClassifier(**result["trees"]).fit(x["train"], train.clicked)
        scores = model.predict_proba(x["test"])[:, 1]
        assert result["auc"] == pytest.approx(roc_auc_score(test.clicked, scores), abs=2e-3)
        new = ~test.item_seen_in_training
        assert result["new_item_rows"] == new.sum()


def test_rare_values_share_a_category(module) -> None:
    values = np.array([[0, 0], [1, 300], *([i, i] for i in range(2, 301))])
    seen = np.concatenate([np.repeat([5, 7], [9, 4]), np.arange(1, 301)])
    coded = module.categories(values, seen)
    assert coded[5, 0] == 0 and coded[7, 0] == 1 and coded.max() == 254
    kept = coded[coded[:, 0] < 254, 0]
    assert len(kept) == 254 == len(set(kept))


def test_dins_scores_are_those_that_evaluate_wrote(module, rows, tmp_path) -> None:
    clicked = rows.split["test"].clicked
    scores = np.random.default_rng(0).random([2, len(clicked)])
    columns = {"clicked": clicked, "none/none/din/warm_start/0/0": clicked}
    columns |= {f"none/none/din/scratch/0/{i}": each for i, each in enumerate(scores)}
    (tmp_path / "evaluation").mkdir()
    path = tmp_path / "evaluation/predictions.parquet"
    pd.DataFrame(columns).to_parquet(path)
    np.testing.assert_array_equal(module.din_scores(tmp_path, rows, EvaluateSettings()), scores)
    pd.DataFrame({**columns, "clicked": 1 - clicked}).to_parquet(path)
    with pytest.raises(InputError, match="of other test rows"):
        module.din_scores(tmp_path, rows, EvaluateSettings())


def test_mistakes_are_named(module, small_shop, work, tmp_path) -> None:
    recipe = str(small_shop[0] / "recipe.yaml")
    with pytest.raises(InputError, match="no prepared data"):
        module.main([recipe, "--work", str(tmp_path)])
    with pytest.raises(InputError, match=r"no clip in .*; there: \['truth'\]"):
        module.main([recipe, "--work", str(work), "--embedding", "clip"])
    with pytest.raises(InputError, match="--samples"):
        module.main([recipe, "--work", str(work), "--samples", "0"])
