from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import mutual_info_score, roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.preprocessing import OneHotEncoder

from tfrec_vis import sources
from tfrec_vis.errors import InputError
from tfrec_vis.simulation import simulate

SIZES = {"users": 400, "items": 600, "image_size": 24}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("simulation") / "shop"
    simulate(out, **SIZES)
    return out


@pytest.fixture(scope="module")
def log(shop: Path) -> pd.DataFrame:
    return pd.read_csv(shop / "log.csv", dtype={"item_id": str})


@pytest.fixture(scope="module")
def items(shop: Path) -> pd.DataFrame:
    read = pd.read_csv(shop / "items.csv", dtype={"item_id": str})
    return read.merge(pd.read_parquet(shop / "truth/attributes.parquet"), on="item_id")


def digest(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def test_same_seed_same_bytes(tmp_path):
    small = {"users": 20, "items": 60, "image_size": 24}
    first = simulate(tmp_path / "a", **small)
    assert simulate(tmp_path / "b", **small) == first
    simulate(tmp_path / "c", **small, seed=1)
    a, b, c = (digest(tmp_path / name) for name in "abc")
    assert a == b
    assert a.keys() == c.keys() and len(a) == 60 + 7
    assert all(a[name] != c[name] for name in a if name != "recipe.yaml")
    assert json.loads((tmp_path / "a/manifest.json").read_text()) == first
    assert not list(tmp_path.glob("*.partial"))


def test_tables_and_pictures(shop, log, items):
    manifest = json.loads((shop / "manifest.json").read_text())
    columns = ["user_id", "page_id", "item_id", "timestamp", "position", "clicked"]
    assert list(log.columns) == columns
    counts = manifest["counts"]
    assert counts["impressions"] == len(log) and counts["clicks"] == log["clicked"].sum()
    assert counts["pages"] == log["page_id"].nunique() and counts["users"] == 400
    pages = log.groupby("page_id")
    assert (pages.size() == 5).all() and (pages["item_id"].nunique() == 5).all()
    assert (pages[["user_id", "timestamp"]].nunique() == 1).all().all()
    visits = log.drop_duplicates("page_id")
    assert not visits.duplicated(["user_id", "timestamp"]).any()
    assert log["timestamp"].is_monotonic_increasing
    days = (log["timestamp"] - manifest["start"]) / 86_400
    assert days.min() >= 0 and days.max() < 28 and (np.floor(days).nunique() == 28)
    assert list(items["item_id"]) == [f"{i:06d}" for i in range(600)]
    with Image.open(shop / "photos" / items["image"][3]) as picture:
        assert picture.size == (24, 24) and picture.mode == "RGB" and picture.format == "JPEG"


def test_clicks_follow_the_true_probability(shop, log):
    truth = pd.read_parquet(shop / "truth/probabilities.parquet")
    keys = ["user_id", "page_id", "item_id", "timestamp"]
    assert truth[keys].equals(log[keys])
    p, clicked = truth["probability"].to_numpy(), log["clicked"].to_numpy()
    for rows in np.array_split(np.argsort(p), 20):
        spread = np.sqrt((p[rows] * (1 - p[rows])).sum())
        assert abs(clicked[rows].sum() - p[rows].sum()) < 4 * spread
    manifest = json.loads((shop / "manifest.json").read_text())
    assert manifest["click_rate"] == pytest.approx(clicked.mean())
    assert 0.2 < clicked.mean() < 0.3
    best = manifest["best_possible"]["auc"]
    assert best == pytest.approx(roc_auc_score(clicked, p), abs=1e-12)
    assert 0.8 < best < 0.85


def test_new_items_are_shown_only_after_they_appear(shop, log, items):
    start = json.loads((shop / "manifest.json").read_text())["start"]
    appears = start + 86_400 * items.set_index("item_id")["first_day"]
    assert (log["timestamp"] >= log["item_id"].map(appears)).all()
    new = items["first_day"] > 0
    assert abs(new.mean() - 0.3) < 4 * np.sqrt(0.3 * 0.7 / 600)
    assert items["first_day"][new].min() >= 0.6 * 28
    assert log["item_id"].isin(items["item_id"][new]).sum() > 200


def test_texts_say_nothing_about_the_look_or_the_clicks(log, items):
    words = items["title"].str.split(expand=True)
    for text in (items["category"], words[0], words[1]):
        for attribute in ("shape", "colour", "pattern"):
            look = items[attribute]
            freedom = (text.nunique() - 1) * (look.nunique() - 1)
            chi2 = 2 * len(items) * mutual_info_score(text, look)
            # The likelihood-ratio statistic of independent texts: mean and spread of chi-square,
            # with room for the sparse cells that make it run high.
            assert chi2 < 1.25 * freedom + 5 * np.sqrt(2 * freedom)
    rows = log.merge(items, on="item_id")
    texts = OneHotEncoder().fit_transform(rows[["category"]])
    scores = cross_val_predict(
        LogisticRegression(), texts, rows["clicked"], method="predict_proba", cv=3
    )
    assert abs(roc_auc_score(rows["clicked"], scores[:, 1]) - 0.5) < 0.05


def test_truth_embedding_s_cosine_is_the_match(shop, items):
    table = pq.read_table(shop / "truth/embedding.parquet")
    assert str(table.schema.field("embedding").type).startswith("fixed_size_list<")
    assert table["item_id"].to_pylist() == list(items["item_id"])
    vectors = np.array(table["embedding"].to_pylist())
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    circle = ["red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink"]
    rng = np.random.default_rng(0)
    rows = items.to_dict("records")
    for i, j in rng.integers(600, size=(500, 2)):
        a, b = rows[i], rows[j]
        steps = abs(circle.index(a["colour"]) - circle.index(b["colour"]))
        colour = {0: 1.0, 1: 0.5, 7: 0.5}.get(steps, 0.0)
        match = (
            0.4 * (a["shape"] == b["shape"]) + 0.35 * colour + 0.25 * (a["pattern"] == b["pattern"])
        )
        assert vectors[i] @ vectors[j] == pytest.approx(match, abs=1e-6)


def test_recipe_is_a_table_source(shop, tmp_path):
    recipe = yaml.safe_load((shop / "recipe.yaml").read_text())
    assert recipe["evaluate"] == {"truth": "truth"}
    source = sources.create(recipe["source"], str(shop))
    source.check()
    assert source.has_labels and source.context_features == ("position",)
    sections = {"evaluate": {"seeds": 3}, "embed": {"clusters": 20}}
    simulate(tmp_path / "s", users=2, items=60, image_size=16, recipe_sections=sections)
    recipe = yaml.safe_load((tmp_path / "s/recipe.yaml").read_text())
    assert recipe["evaluate"] == {"truth": "truth", "seeds": 3}
    assert recipe["embed"] == {"clusters": 20}


def test_refusals(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/kept.txt").write_text("mine")
    with pytest.raises(InputError, match="full exists and is not an empty folder"):
        simulate(tmp_path / "full", users=2, items=60)
    assert (tmp_path / "full/kept.txt").read_text() == "mine"
    with pytest.raises(InputError, match="not an empty folder"):
        simulate(tmp_path / "full/kept.txt", users=2, items=60)
    with pytest.raises(InputError, match="items must be at least 50, got 3"):
        simulate(tmp_path / "few", items=3)
    assert not (tmp_path / "few").exists()
    (tmp_path / "empty").mkdir()
    simulate(tmp_path / "empty", users=2, items=60, image_size=16)
    assert (tmp_path / "empty/recipe.yaml").is_file()
