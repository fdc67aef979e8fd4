"""``refresh`` after ``prepare --append``."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from refresh_case import (
    CATEGORIES,
    DAY,
    NEW,
    GrowingShop,
    extended_by_hand,
    hand_made,
    replace_slow_parts,
    rows_of_new_items,
    scores,
)

from tfrec_vis.data import read_impressions, read_items
from tfrec_vis.data.items import read_pictures
from tfrec_vis.embeddings import Embeddings, assign_clusters, assign_codes
from tfrec_vis.embeddings.encode import encode_items
from tfrec_vis.errors import InputError
from tfrec_vis.evaluation.rows import category_numbers
from tfrec_vis.pretraining import PretrainSettings, load
from tfrec_vis.recipes import load_recipe
from tfrec_vis.serving import RankerState, read_export_metadata, versions
from tfrec_vis.serving.validate import requests_of
from tfrec_vis.workflow import refresh as refreshing
from tfrec_vis.workflow import stages
from tfrec_vis.workflow.refresh import Refreshed


@pytest.fixture(scope="module")
def saved(simulated_shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop that published its models, and to which a day was added since."""
    folder = tmp_path_factory.mktemp("refresh")
    shutil.copytree(simulated_shop, folder / "now/shop")
    shop = GrowingShop(folder / "now")
    shop.first_days()
    with pytest.MonkeyPatch.context() as patch:
        replace_slow_parts(patch)
        shop.run(until="export")
        shutil.copytree(shop.work / "prepared", folder / "before")
        shop.append()
    return Path(shutil.copytree(folder / "now", folder / "saved"))


@pytest.fixture
def shop(saved: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GrowingShop]:
    """That shop as it was, at the same paths and with the same times, by which files are known."""
    replace_slow_parts(monkeypatch)
    yield taken_back(saved)


def taken_back(saved: Path) -> GrowingShop:
    now = saved.with_name("now")
    shutil.rmtree(now)
    shutil.copytree(saved, now)
    return GrowingShop(now)


@pytest.fixture(scope="module")
def refreshed(saved: Path) -> tuple[Path, Refreshed]:
    """The same shop after a refresh, elsewhere; read only."""
    shop = taken_back(saved)
    with pytest.MonkeyPatch.context() as patch:
        replace_slow_parts(patch)
        result = shop.refresh()
    return Path(shutil.copytree(shop.work, saved.with_name("refreshed"))), result


def test_only_new_items_are_encoded_and_all_else_stays(
    saved: Path, refreshed: tuple[Path, Refreshed]
) -> None:
    work, result = refreshed
    before = Embeddings.read(saved / "work/embeddings/courier")
    after = Embeddings.read(work / "embeddings/courier")
    old = len(before.item_id)
    assert result.new_items == NEW == len(after.item_id) - old
    assert result.seconds_per_1000 > 0
    assert set(result.published) == {"ranker", "similar"}
    assert after.item_id.tolist() == read_items(work / "prepared").item_id[1:].tolist()
    assert after.embedding[:old].tobytes() == before.embedding.tobytes()
    np.testing.assert_array_equal(after.cluster_id[:old], before.cluster_id)
    np.testing.assert_array_equal(after.semantic_id[:old], before.semantic_id)
    for name in ("centre.npy", "centroids.npy", "codebooks.npy"):
        paths = [folder / "embeddings/courier" / name for folder in (saved / "work", work)]
        assert paths[0].read_bytes() == paths[1].read_bytes()
    features = encode_items(load(work / "pretrain/courier"), work / "prepared", None, 64)
    features -= after.centre
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    np.testing.assert_allclose(after.embedding[old:], features[old:], atol=1e-5)
    for found, assign in (
        (after.cluster_id, lambda v: assign_clusters(v, after.centroids)),
        (after.semantic_id, lambda v: assign_codes(v, after.codebooks)),
    ):
        np.testing.assert_array_equal(found[old:], assign(after.embedding[old:]))


def test_the_encoder_stays_and_the_others_are_new_versions(
    saved: Path, refreshed: tuple[Path, Refreshed]
) -> None:
    models = refreshed[0] / "saved_models"
    assert [versions(models / n) for n in ("encoder", "ranker", "similar")] == [[1], [1, 2], [1, 2]]
    for name in ("ranker", "similar"):
        first, second = (read_export_metadata(models / name / v) for v in "12")
        changed = {key for key in first if first[key] != second.get(key)}
        assert changed == {"data_manifest_sha256"} and set(first) == set(second)
    config = (models / "models.config").read_text()
    assert config.count("base_path") == 3
    similar = tf.saved_model.load(str(models / "similar/2")).signatures["serving_default"]
    new = read_items(refreshed[0] / "prepared").item_id[-1]
    found = similar(item_id=tf.constant([new]))["item_id"].numpy().astype(str)
    assert new not in found and len(set(found[0])) == len(found[0])


def test_rows_before_the_new_day_keep_their_scores(
    saved: Path, refreshed: tuple[Path, Refreshed]
) -> None:
    before = saved.with_name("before")
    rows, items = read_impressions(before, "test"), read_items(before, pictures=False)
    assert len(rows) > 50
    request = requests_of(rows, items.item_id)
    ranker = refreshed[0] / "saved_models/ranker"
    old, new = (scores(ranker / v, request, "serving_default") for v in "12")
    np.testing.assert_allclose(new, old, rtol=0, atol=1e-6)
    assert np.ptp(old) > 0.01
    # Later, the clicks of the new day are in the statistics.
    request["timestamp"] = request["timestamp"] + 400 * DAY
    old, new = (scores(ranker / v, request, "serving_default") for v in "12")
    assert np.abs(new - old).max() > 1e-3


def test_new_items_are_scored_as_by_a_model_with_tables_extended_by_hand(
    saved: Path, refreshed: tuple[Path, Refreshed]
) -> None:
    work, before = refreshed[0], saved.with_name("before")
    first = len(read_items(before, pictures=False))
    tables = extended_by_hand(before, work / "prepared")
    rows = rows_of_new_items(work / "prepared", first)
    assert len(rows) > 10 and len(set(rows.item_index[rows.item_index >= first])) > 1
    ranker = hand_made(tables, work / "prepared", work / "embeddings/courier")
    with np.load(saved / "work/evaluation/runs/first.npz") as stored:
        learned = {n.removeprefix("weight/"): stored[n] for n in stored.files}
    names, _ = category_numbers(read_items(before, pictures=False).category)
    now, _ = category_numbers(read_items(work / "prepared", pictures=False).category)
    assert {*CATEGORIES.values()} <= {*now} - {*names}
    for name in learned:
        if "gate" in name:
            trained = dict(zip(names, learned[name], strict=True))
            others = np.mean([*trained.values()])
            learned[name] = np.array([trained.get(n, others) for n in now], np.float32)
    ranker.set_learned(learned)
    inputs = tables.inputs(replace(rows, history=rows.history[:, : tables.history]))
    expected = tf.sigmoid(ranker({n: tf.constant(v) for n, v in inputs.items()})).numpy()
    request = requests_of(rows, tables.item_id)
    found = scores(work / "saved_models/ranker/2", request, "serving_default")
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_a_photo_alone_scored_the_same_before_its_item_came(
    saved: Path, refreshed: tuple[Path, Refreshed]
) -> None:
    """By ``cold``, where the item brings nothing but its picture: no known category, no events."""
    work, before = refreshed[0], saved.with_name("before")
    items = read_items(work / "prepared", pictures=False)
    rows = read_impressions(before, "test").take(np.arange(20))
    request = requests_of(rows, items.item_id)
    for category, same in (("Zebra", True), ("", True), (None, False)):
        new = np.arange(len(items) - NEW, len(items))
        of_kind = items.category[new] == category
        if category is None:
            of_kind = ~np.isin(items.category[new], [*CATEGORIES.values(), "Kestrel"])
        item = new[of_kind][0]
        (picture,) = read_pictures(work / "prepared", np.array([item]))
        request["image_bytes"] = np.array([picture] * len(rows), object)
        request["item_id"] = np.array([items.item_id[item]] * len(rows), object)
        cold = scores(work / "saved_models/ranker/1", request, "cold")
        known = scores(work / "saved_models/ranker/2", request, "serving_default")
        assert (np.abs(known - cold).max() < 1e-5) == same


def cheap_writers(
    work: Path, method: str, state: RankerState, described: dict[str, Any]
) -> dict[str, Callable[[Path], None]]:
    """Write what a refresh reads of exports, without the models."""
    made = json.loads((work / "embeddings" / method / "metadata.json").read_text())
    last = read_export_metadata(work / "saved_models/ranker/1")

    def writer(name: str) -> Callable[[Path], None]:
        def write(folder: Path) -> None:
            (folder / "saved_model.pb").write_bytes(b"")
            of = {"data_manifest_sha256": made["data_manifest_sha256"]}
            (folder / "assets.extra").mkdir()
            described = json.dumps({**last, "model": name, **of})
            (folder / "assets.extra/tfrec_vis.json").write_text(described)
            state.write(folder)

        return write

    return {name: writer(name) for name in ("encoder", "ranker", "similar")}


@pytest.fixture
def cheap(shop: GrowingShop, monkeypatch: pytest.MonkeyPatch) -> GrowingShop:
    monkeypatch.setattr(refreshing, "export_writers", cheap_writers)
    return shop


def test_a_second_refresh_finds_nothing_new(
    cheap: GrowingShop, capsys: pytest.CaptureFixture[str]
) -> None:
    assert set(cheap.refresh().published) == {"ranker", "similar"}
    out = capsys.readouterr().out
    assert f"{NEW} new items encoded by {cheap.export('encoder', 1)} in " in out
    assert " s per 1,000\n" in out
    made = cheap.contents()
    assert cheap.refresh() == Refreshed(0, None, {})
    assert "nothing is new since" in capsys.readouterr().out
    assert cheap.contents() == made
    # The encoder is kept: a run goes on with evaluate, on data that are others now.
    recipe = load_recipe(cheap.folder / "recipe.yaml")
    done = {s.folder.name: s.is_done for s in stages.build_stages(recipe, cheap.work)}
    assert done["prepared"] and done["courier"]
    assert not done["evaluation"] and not done["exported"] and not done["imagenet"]


class Killed(BaseException):
    pass


def dies(*_: object, **__: object) -> None:
    raise Killed


def test_a_killed_refresh_leaves_old_or_new_and_is_taken_up(
    cheap: GrowingShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = cheap.read("courier")
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Embeddings, "write", dies)
        cheap.refresh()
    assert cheap.read("courier").item_id.tolist() == before.item_id.tolist()
    assert cheap.versions() == [[1], [1], [1]]
    # Between the two renames that put the new embeddings in place.
    rename = Path.rename

    def dies_at(self: Path, target: Path) -> Path:
        if self.name == "courier.partial":
            raise Killed
        return rename(self, target)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Path, "rename", dies_at)
        cheap.refresh()
    assert not (cheap.work / "embeddings/courier").exists()
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(refreshing, "publish_checked", dies)
        cheap.refresh()
    after = cheap.read("courier")
    assert len(after.item_id) == len(before.item_id) + NEW
    assert after.embedding[:-NEW].tobytes() == before.embedding.tobytes()
    assert cheap.versions() == [[1], [1], [1]]
    assert cheap.refresh() == Refreshed(
        0, None, {n: str(cheap.export(n, 2).absolute()) for n in ("ranker", "similar")}
    )
    shutil.rmtree(cheap.export("similar", 2))  # as if killed before it was there
    assert set(cheap.refresh().published) == {"similar"}
    assert cheap.versions() == [[1], [1, 2], [1, 2]]
    # A run with another encoder, killed before its last rename, leaves the former's neighbours.
    file = cheap.export("similar", 2) / "assets.extra/tfrec_vis.json"
    for field in ("encoder_fingerprint", "fitted_sha256"):
        described = json.loads(file.read_text())
        file.write_text(json.dumps({**described, field: "0" * 64}))
        assert set(cheap.refresh().published) == {"similar"}
        file = cheap.export("similar", cheap.versions()[2][-1]) / "assets.extra/tfrec_vis.json"
    assert cheap.refresh().published == {}


def test_an_item_whose_photo_is_missing_comes_when_it_is_there(cheap: GrowingShop) -> None:
    cheap.refresh()
    lines = (cheap.folder / "all-items.txt").read_text()
    cells = lines.splitlines()[-1].split(",")
    late = ",".join(["late", "late.jpg", *cells[2:]])
    (cheap.folder / "all-items.txt").write_text(f"{lines}{late}\n")
    cheap.append(slice(-3, None))
    assert "late" not in read_items(cheap.work / "prepared", pictures=False).item_id
    result = cheap.refresh()
    assert result.new_items == 0 and set(result.published) == {"ranker", "similar"}
    assert cheap.refresh() == Refreshed(0, None, {})
    shutil.copy(cheap.folder / "photos" / f"{cells[0]}.jpg", cheap.folder / "photos/late.jpg")
    cheap.append(slice(-2, None))
    assert cheap.refresh().new_items == 1
    assert cheap.read("courier").item_id[-1] == "late"


def refused(shop: GrowingShop, message: str, *settings: str) -> None:
    """Refuses in these words and changes nothing."""
    before = shop.contents()
    with pytest.raises(InputError, match=message):
        shop.refresh(*settings)
    assert shop.contents() == before


def test_what_does_not_go_together_is_refused(cheap: GrowingShop) -> None:
    encoder, ranker = cheap.export("encoder", 1), cheap.export("ranker", 1)
    for export in (encoder, ranker):
        file = export / "assets.extra/tfrec_vis.json"
        described = json.loads(file.read_text())
        file.write_text(json.dumps({**described, "encoder_fingerprint": "0" * 64}))
        refused(cheap, rf"{export}: of another encoder \(fingerprint 00000000\) than .*run RECIPE")
        file.write_text(json.dumps({**described, "fitted_sha256": "0" * 64}))
        refused(cheap, rf"{export}: published before .*courier was clustered anew")
        file.write_text(json.dumps(described))
    file.write_text(json.dumps({**described, "data_manifest_sha256": "0" * 64}))
    refused(cheap, r"prepared: prepared anew since .*ranker/1 was published, not with `prepare")
    file.write_text(json.dumps(described))
    state = (ranker / "assets.extra/ranker_state.npz").rename(cheap.folder / "state.npz")
    refused(cheap, "ranker/1: exported by an older version, without assets.extra/ranker_state.npz")
    state.rename(ranker / "assets.extra/ranker_state.npz")
    trained = cheap.work / "pretrain/courier/model.keras"
    model = trained.read_bytes()
    keras.utils.set_random_seed(5)
    stages.train(cheap.work / "prepared", trained.parent, PretrainSettings(), cheap.work)
    refused(cheap, "courier: made by another encoder")
    trained.write_bytes(model)
    refused(cheap, "courier: not there, or made with other settings", "embed.clusters=6")
    for name in ("ranker", "encoder"):
        aside = (cheap.work / "saved_models" / name).rename(cheap.folder / name)
        refused(cheap, f"saved_models/{name}: nothing is published there; run `tfrec-vis run")
        aside.rename(cheap.work / "saved_models" / name)
    aside = (cheap.work / "embeddings/courier").rename(cheap.folder / "aside")
    refused(cheap, "embeddings/courier: no embeddings there to add to")
    aside.rename(cheap.work / "embeddings/courier")
    cheap.write(slice(-2, None))
    refused(cheap, "prepared: not there yet, or made with other settings .*prepare RECIPE --append")


def test_removed_items_are_refused(cheap: GrowingShop) -> None:
    shutil.rmtree(cheap.work / "prepared")
    cheap.write(slice(3, -NEW))
    cheap.run(only="prepare")
    refused(cheap, r"prepared: prepared anew since .*ranker/1 was published, not with `prepare")
