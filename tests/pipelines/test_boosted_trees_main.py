"""Gradient-boosted trees on a work folder's rows."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from tfrec_vis.data import read_items
from tfrec_vis.embeddings import EmbedSettings, embed_features, read_external
from tfrec_vis.errors import InputError
from tfrec_vis.evaluation.rows import Rows

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
    options = ["--work", str(work), "--samples", "2", "--set", "evaluate.history=6"]
    module.main([recipe, *options])
    results = json.loads((work / "boosted_trees.json").read_text())["rows"]
    names = ["none", "truth", "truth, shuffled"]
    found = [(row["setting"], row["sample"], row["pictures"]) for row in results]
    settings = [("ranker", 0), ("purchases", 0), ("purchases", 1)]
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


def test_features_equal_a_loop(module, work, rows) -> None:
    vectors = module.read_vectors(work, "truth", rows)
    test, values = rows.split["test"].take(np.arange(120)), rows.tables.values
    assert (test.history == 0).any(axis=1).sum() > 10
    known = module.features(rows.tables, test)
    everything = module.joined(known, test, vectors)
    assert known.shape[1] == 12 + values.shape[1] and everything.shape[1] == known.shape[1] + 3
    for row, (item, history) in enumerate(zip(test.item_index, test.history, strict=True)):
        clicks = [other for other in history if other]
        for a in range(values.shape[1]):
            same = sum(values[other, a] == values[item, a] != 0 for other in clicks)
            assert known[row, 12 + a] == pytest.approx(same / max(len(clicks), 1), abs=1e-6)
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


def test_areas_are_those_of_a_model_fitted_by_hand(module, rows) -> None:
    (result,) = module.of_ranker(rows, {})
    train, test = rows.split["train"], rows.split["test"]
    model = HistGradientBoostingClassifier(**result["trees"])
    model.fit(module.features(rows.tables, train), train.clicked)
    scores = model.predict_proba(module.features(rows.tables, test))[:, 1]
    assert result["auc"] == pytest.approx(roc_auc_score(test.clicked, scores), abs=1e-12)
    new = ~test.item_seen_in_training
    assert result["new_item_rows"] == new.sum()


def test_mistakes_are_named(module, small_shop, work, tmp_path) -> None:
    recipe = str(small_shop[0] / "recipe.yaml")
    with pytest.raises(InputError, match="no prepared data"):
        module.main([recipe, "--work", str(tmp_path)])
    with pytest.raises(InputError, match=r"no clip in .*; there: \['truth'\]"):
        module.main([recipe, "--work", str(work), "--embedding", "clip"])
    with pytest.raises(InputError, match="--samples"):
        module.main([recipe, "--work", str(work), "--samples", "0"])
