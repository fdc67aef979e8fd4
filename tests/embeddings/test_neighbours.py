from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tf_keras as keras
from PIL import Image
from sklearn.neighbors import NearestNeighbors

from tfrec_vis.data import read_items, read_manifest
from tfrec_vis.embeddings import Embeddings, EmbedSettings, embed_features, nearest, photo_vector
from tfrec_vis.embeddings.encode import encode_items
from tfrec_vis.errors import InputError


def unit(rows: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=[rows, 5]).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize("count", [1, 4, 19])
def test_nearest_equals_a_loop(count: int) -> None:
    vectors = unit(20)
    rows, scores = nearest(vectors, vectors[7], count, leave_out=7)
    cosines = {i: float(vectors[i] @ vectors[7]) for i in range(20) if i != 7}
    expected = sorted(cosines, key=lambda i: -cosines[i])[:count]
    assert rows.tolist() == expected
    np.testing.assert_allclose(scores, [cosines[i] for i in expected], rtol=1e-5)


def test_nearest_of_a_vector_from_elsewhere_leaves_nothing_out() -> None:
    vectors = unit(6)
    rows, scores = nearest(vectors, vectors[2], 100)
    assert len(rows) == 6 and rows[0] == 2 and scores[0] == pytest.approx(1)


def test_equal_items_keep_their_order() -> None:
    vectors = np.repeat(unit(1), 5, axis=0)
    assert nearest(vectors, vectors[0], 3, leave_out=1)[0].tolist() == [0, 2, 3]


@pytest.mark.parametrize("count", [20, 150])
def test_equal_items_keep_their_order_among_many(count: int) -> None:
    """More equal ones than are asked for, in all parts of a large table."""
    vectors = unit(5000)
    same = np.sort(np.random.default_rng(1).permutation(5000)[:200])
    vectors[same] = vectors[same[0]]
    queries = np.concatenate([vectors[same[:30]], unit(3, seed=2)])
    rows, scores = nearest(vectors, queries, count)
    for i in range(30):
        assert rows[i].tolist() == same[:count].tolist()
        assert len(set(scores[i])) == 1
    rows, _ = nearest(vectors, vectors[same[:30]], count, leave_out=same[:30])
    for i in range(30):
        assert rows[i].tolist() == [r for r in same if r != same[i]][:count]


@pytest.mark.parametrize("count", [1, 3, 50])
def test_many_queries_equal_scikit_learn(count: int) -> None:
    vectors, queries = unit(300), unit(70, seed=1)
    oracle = NearestNeighbors(n_neighbors=count, metric="cosine").fit(vectors.astype(float))
    distances, expected = oracle.kneighbors(queries.astype(float))
    rows, scores = nearest(vectors, queries, count)
    np.testing.assert_array_equal(rows, expected)
    np.testing.assert_allclose(scores, 1 - distances, atol=1e-6)
    assert rows.dtype == np.int64 and scores.dtype == np.float32
    one, score = nearest(vectors, queries[3], count)
    np.testing.assert_array_equal(one, rows[3])
    np.testing.assert_array_equal(score, scores[3])


def test_many_queries_leave_themselves_out() -> None:
    vectors = unit(40)
    rows, _ = nearest(vectors, vectors[5:15], 4, leave_out=np.arange(5, 15))
    oracle = NearestNeighbors(n_neighbors=5, metric="cosine").fit(vectors)
    expected = oracle.kneighbors(vectors[5:15], return_distance=False)
    np.testing.assert_array_equal(rows, expected[:, 1:])


def test_nothing_to_find() -> None:
    vectors = unit(4)
    for found in (
        nearest(vectors[:1], vectors[0], 3, leave_out=0),
        nearest(vectors, vectors[0], 0),
    ):
        assert [part.shape for part in found] == [(0,), (0,)]
    assert nearest(vectors, vectors[:0], 3)[0].shape[0] == 0
    assert nearest(vectors[:1], vectors[:2], 3)[0].tolist() == [[0], [0]]


@pytest.fixture(scope="module")
def encoder() -> keras.Model:
    keras.utils.set_random_seed(0)
    pooled = [
        keras.layers.Rescaling(1 / 255),
        keras.layers.Conv2D(8, 5, strides=4, activation="relu"),
        keras.layers.GlobalMaxPooling2D(),
    ]
    return keras.Sequential([keras.Input([32, 32, 3]), *pooled])


@pytest.fixture(scope="module")
def stored(encoder: keras.Model, prepared_shop: Path) -> Embeddings:
    features = encode_items(encoder, prepared_shop, None, 16)
    return embed_features(features, prepared_shop, EmbedSettings(clusters=4), "test")


def test_a_photo_of_the_shop_finds_its_item(
    encoder: keras.Model, stored: Embeddings, prepared_shop: Path, simulated_shop: Path
) -> None:
    assert np.abs(stored.centre).max() > 0
    settings = read_manifest(prepared_shop)["settings"]
    for item in read_items(prepared_shop).item_id[1::20]:
        photo = simulated_shop / "photos" / f"{item}.jpg"
        vector = photo_vector(photo, encoder, stored, 32, settings)
        rows, scores = nearest(stored.embedding, vector, 1)
        assert stored.item_id[rows[0]] == item and scores[0] > 0.9999


def test_a_photo_is_prepared_as_the_catalogue_was(
    encoder: keras.Model, stored: Embeddings, prepared_shop: Path, tmp_path: Path
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, [40, 20, 3], np.uint8)
    picture = Image.fromarray(pixels).resize((80, 160))
    picture.save(tmp_path / "upright.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    settings = read_manifest(prepared_shop)["settings"]
    upright, turned = (
        photo_vector(tmp_path / name, encoder, stored, 32, settings)
        for name in ("upright.png", "turned.png")
    )
    assert np.linalg.norm(upright) == pytest.approx(1, abs=1e-5)
    assert upright @ turned > 0.999


@pytest.mark.parametrize("data", [b"", b"no photo", None])
def test_what_is_no_photo_is_named(
    encoder: keras.Model, stored: Embeddings, prepared_shop: Path, tmp_path: Path, data: bytes
) -> None:
    path = tmp_path / "photo.jpg"
    if data is not None:
        path.write_bytes(data)
    settings = read_manifest(prepared_shop)["settings"]
    with pytest.raises(InputError, match="photo.jpg: "):
        photo_vector(path, encoder, stored, 32, settings)
