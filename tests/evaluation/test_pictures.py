from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tf_keras as keras

from tfrec_vis.data import read_impressions, read_items
from tfrec_vis.evaluation import Gallery, choose_pictures, pictures
from tfrec_vis.pretraining import Courier
from tfrec_vis.pretraining.simclr import SimCLR


@pytest.fixture(scope="module")
def model() -> Courier:
    keras.utils.set_random_seed(0)
    layers = [
        keras.layers.Rescaling(1 / 255),
        keras.layers.Conv2D(8, 4, strides=4),
        keras.layers.GlobalAveragePooling2D(),
    ]
    encoder = keras.Sequential([keras.Input([32, 32, 3]), *layers])
    return Courier(encoder, embedding_dim=8, num_heads=2)


@pytest.fixture(scope="module")
def vectors(prepared_shop: Path) -> np.ndarray:
    made = np.random.default_rng(0).normal(size=[len(read_items(prepared_shop)), 8])
    made[0] = 0
    return (made / np.maximum(np.linalg.norm(made, axis=1, keepdims=True), 1e-9)).astype(np.float32)


@pytest.fixture(scope="module")
def clusters(vectors: np.ndarray) -> np.ndarray:
    made = np.random.default_rng(1).integers(0, 7, len(vectors)).astype(np.int32)
    made[[0, 3]] = -1
    return made


@pytest.fixture(scope="module")
def scores(prepared_shop: Path) -> np.ndarray:
    return np.random.default_rng(2).random([2, len(read_impressions(prepared_shop, "test"))])


@pytest.fixture(scope="module")
def arguments(
    model: Courier,
    vectors: np.ndarray,
    clusters: np.ndarray,
    scores: np.ndarray,
    prepared_shop: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict:
    predictions = tmp_path_factory.mktemp("evaluation") / "predictions.parquet"
    columns = {f"courier/vector/din/scratch/0/{seed}": row for seed, row in enumerate(scores)}
    pd.DataFrame({"row_id": np.arange(scores.shape[1]), **columns}).to_parquet(predictions)
    return {
        "prepared": prepared_shop,
        "vectors": vectors,
        "model": model,
        "image_size": None,
        "clusters": clusters,
        "predictions": predictions,
        "primary": {
            "embedding": "courier",
            "feature": "vector",
            "ranker": "din",
            "protocol": "scratch",
        },
    }


@pytest.fixture(scope="module")
def gallery(arguments: dict) -> Gallery:
    return choose_pictures(**arguments)


def test_ten_products_with_their_nearest_neighbours(
    gallery: Gallery, vectors: np.ndarray, prepared_shop: Path
) -> None:
    catalogue = read_items(prepared_shop)
    index = {item: i for i, item in enumerate(catalogue.item_id)}
    test = read_impressions(prepared_shop, "test")
    clicked = set(catalogue.item_id[test.item_index[test.clicked == 1]])
    assert gallery.embedding == "courier"
    queries = [n.query.item_id for n in gallery.neighbours]
    assert len(set(queries)) == 10 and set(queries) <= clicked
    for neighbours in gallery.neighbours:
        query = index[neighbours.query.item_id]
        cosines = {i: vectors[i] @ vectors[query] for i in range(1, len(vectors)) if i != query}
        expected = sorted(cosines, key=lambda i: -cosines[i])[:5]
        assert [index[picture.item_id] for picture, _ in neighbours.nearest] == expected
        for picture, score in neighbours.nearest:
            row = index[picture.item_id]
            assert score == pytest.approx(cosines[row], abs=1e-6)
            assert (picture.jpeg, picture.title) == (catalogue.image[row], catalogue.title[row])


def test_histories_of_clicked_rows_with_weights_that_sum_to_one(
    gallery: Gallery, prepared_shop: Path
) -> None:
    catalogue = read_items(prepared_shop)
    test = read_impressions(prepared_shop, "test", 5)
    rows = {
        (*(catalogue.item_id[i] for i in history), catalogue.item_id[item])
        for history, item, clicked in zip(test.history, test.item_index, test.clicked, strict=True)
        if clicked
    }
    assert 1 <= len(gallery.attention) <= 3
    for example in gallery.attention:
        shown = (*(picture.item_id for picture, _ in example.history), example.target.item_id)
        assert shown in rows and example.clicked
        assert len(example.history) == 5
        assert sum(weight for _, weight in example.history) == pytest.approx(1, abs=1e-5)


def test_a_map_of_all_products_that_have_a_cluster(
    gallery: Gallery, clusters: np.ndarray, prepared_shop: Path
) -> None:
    catalogue = read_items(prepared_shop)
    captions = [
        f"{catalogue.title[i]} · {catalogue.category[i]}" for i in np.flatnonzero(clusters >= 0)
    ]
    assert gallery.map is not None and gallery.map.method == "t-SNE"
    assert [point.caption for point in gallery.map.points] == captions
    assert [p.cluster for p in gallery.map.points] == clusters[clusters >= 0].tolist()
    assert len({(p.x, p.y) for p in gallery.map.points}) == len(captions)
    assert gallery.map.sprite.columns * gallery.map.sprite.rows >= len(captions)


def test_clusters_show_their_own_products(
    gallery: Gallery, clusters: np.ndarray, prepared_shop: Path
) -> None:
    catalogue = read_items(prepared_shop)
    index = {item: i for i, item in enumerate(catalogue.item_id)}
    assert {example.why for example in gallery.clusters} == {"largest", "purest", "random"}
    for example in gallery.clusters:
        shown = [index[picture.item_id] for picture in example.pictures]
        assert shown and (clusters[shown] == example.cluster).all()
        assert example.size == (clusters == example.cluster).sum()
        assert [p.jpeg for p in example.pictures] == catalogue.image[shown].tolist()


def test_failures_are_the_largest_losses_of_the_mean_score(
    gallery: Gallery, scores: np.ndarray, prepared_shop: Path
) -> None:
    catalogue = read_items(prepared_shop)
    test = read_impressions(prepared_shop, "test", 5)
    mean = scores.mean(axis=0)
    for clicked in (1, 0):
        rows = np.flatnonzero(test.clicked == clicked)
        losses = -np.log(mean[rows] if clicked else 1 - mean[rows])
        row = rows[losses.argmax()]
        shown = next(f for f in gallery.failures if f.clicked == bool(clicked))
        assert (shown.score, shown.loss) == pytest.approx((mean[row], losses.max()))
        assert shown.target.item_id == catalogue.item_id[test.item_index[row]]
        history = test.history[row][test.history[row] > 0]
        assert [p.item_id for p in shown.history] == catalogue.item_id[history].tolist()
    losses = [f.loss for f in gallery.failures if f.clicked]
    assert losses == sorted(losses, reverse=True) and len(gallery.failures) == 8


def test_no_other_picture_is_read(
    arguments: dict, gallery: Gallery, monkeypatch: pytest.MonkeyPatch, prepared_shop: Path
) -> None:
    def without_pictures(prepared: Path, *, pictures: bool) -> object:
        assert not pictures
        return read_items(prepared, pictures=False)

    asked: list[np.ndarray] = []

    def reading(prepared: Path, wanted: np.ndarray) -> list[bytes]:
        asked.append(wanted)
        return real(prepared, wanted)

    real = pictures.read_pictures
    monkeypatch.setattr(pictures, "read_items", without_pictures)
    monkeypatch.setattr(pictures, "read_pictures", reading)
    monkeypatch.setattr(pictures, "sample_items", lambda vectors, clusters: np.array([2]))
    made = choose_pictures(**arguments)
    shown = [n.query for n in made.neighbours] + [p for n in made.neighbours for p, _ in n.nearest]
    for example in made.attention:
        shown += [example.target, *(picture for picture, _ in example.history)]
    shown += [picture for example in made.clusters for picture in example.pictures]
    shown += [p for failure in made.failures for p in (failure.target, *failure.history)]
    index = {item: i for i, item in enumerate(read_items(prepared_shop, pictures=False).item_id)}
    assert len(asked) == 1
    assert set(asked[0].tolist()) == {2} | {index[picture.item_id] for picture in shown}
    assert made.neighbours == gallery.neighbours and made.failures == gallery.failures


def test_without_clusters_and_predictions(arguments: dict) -> None:
    bare = {n: v for n, v in arguments.items() if n not in ("clusters", "predictions", "primary")}
    made = choose_pictures(**bare)
    assert (made.clusters, made.failures) == ((), ())
    assert made.map is not None and {point.cluster for point in made.map.points} == {-1}
    other = {**arguments, "primary": {**arguments["primary"], "embedding": "simclr"}}
    assert choose_pictures(**other).failures == ()


def test_a_model_without_a_reconstruction_has_no_attention(
    arguments: dict, gallery: Gallery, model: Courier
) -> None:
    other = SimCLR(model.encoder, embedding_dim=8)
    made = choose_pictures(**{**arguments, "model": other})
    assert made.attention == ()
    assert (made.neighbours, made.map) == (gallery.neighbours, gallery.map)
    assert (made.clusters, made.failures) == (gallery.clusters, gallery.failures)


def test_the_choice_is_the_same_every_time(gallery: Gallery, arguments: dict) -> None:
    again = choose_pictures(**{**arguments, "image_size": 32})
    assert again.neighbours == gallery.neighbours and again.map == gallery.map
    assert (again.clusters, again.failures) == (gallery.clusters, gallery.failures)
    for mine, theirs in zip(again.attention, gallery.attention, strict=True):
        assert mine.target == theirs.target
