from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tf_keras as keras

from tfrec_vis.data import read_impressions, read_items
from tfrec_vis.evaluation import Gallery, choose_pictures
from tfrec_vis.pretraining import Courier


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
def gallery(model: Courier, vectors: np.ndarray, prepared_shop: Path) -> Gallery:
    return choose_pictures(prepared_shop, vectors, model, None, "courier")


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


def test_the_choice_is_the_same_every_time(
    gallery: Gallery, model: Courier, vectors: np.ndarray, prepared_shop: Path
) -> None:
    again = choose_pictures(prepared_shop, vectors, model, 32, "courier")
    assert again.neighbours == gallery.neighbours
    for mine, theirs in zip(again.attention, gallery.attention, strict=True):
        assert mine.target == theirs.target
