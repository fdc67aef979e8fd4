from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
import tf_keras as keras

from tfrec_vis import metrics
from tfrec_vis.data import decode_letterboxed, read_items, read_manifest
from tfrec_vis.embeddings import (
    EmbedSettings,
    assign_codes,
    cluster_balance,
    embed_features,
    pretraining_items,
)
from tfrec_vis.embeddings.embed import embed_catalogue
from tfrec_vis.embeddings.encode import encode_items, weights_fingerprint
from tfrec_vis.errors import InputError

SETTINGS = EmbedSettings(clusters=7)


@pytest.fixture(scope="module")
def first_seen(simulated_shop, prepared_shop):
    """By row, from the raw log: when each item was first shown; infinity where never."""
    log = pd.read_csv(simulated_shop / "log.csv", dtype={"item_id": str})
    seen = log.groupby("item_id")["timestamp"].min()
    return np.array([seen.get(i, np.inf) for i in read_items(prepared_shop).item_id[1:]])


@pytest.fixture(scope="module")
def cuts(prepared_shop):
    return read_manifest(prepared_shop)["cuts"]


@pytest.fixture
def features():
    return np.random.default_rng(0).normal(size=(60, 6)).astype(np.float32) + 2


def embed(prepared, features, **changes):
    return embed_features(features, prepared, replace(SETTINGS, **changes), "fingerprint")


def test_centred_and_normalised(prepared_shop, features, first_seen, cuts):
    made = embed(prepared_shop, features)
    centre = features[first_seen < cuts[0]].mean(axis=0)
    np.testing.assert_allclose(made.centre, centre, atol=1e-6)
    expected = features - centre
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(made.embedding, expected, atol=1e-6)
    np.testing.assert_array_equal(made.item_id, read_items(prepared_shop).item_id[1:])

    plain = embed(prepared_shop, features, centre=False)
    np.testing.assert_array_equal(plain.centre, np.zeros(6))
    expected = features / np.linalg.norm(features, axis=1, keepdims=True)
    np.testing.assert_allclose(plain.embedding, expected, atol=1e-6)


def test_later_items_have_no_say_in_the_centre(prepared_shop, features, first_seen, cuts):
    late = first_seen >= cuts[0]
    assert 0 < late.sum() < 60
    made = embed(prepared_shop, features)
    features[late] *= -9
    np.testing.assert_array_equal(embed(prepared_shop, features).centre, made.centre)
    features[np.flatnonzero(~late)[0]] += 1
    assert not np.array_equal(embed(prepared_shop, features).centre, made.centre)


def test_later_items_have_no_say_in_the_clusters(prepared_shop, features, first_seen, cuts):
    late = first_seen >= cuts[1]
    assert 0 < late.sum() < (first_seen >= cuts[0]).sum()
    made = embed(prepared_shop, features)
    features[late] *= -9
    changed = embed(prepared_shop, features)
    np.testing.assert_array_equal(changed.centroids, made.centroids)
    np.testing.assert_array_equal(changed.cluster_id[~late], made.cluster_id[~late])
    between = (first_seen >= cuts[0]) & ~late
    features[between] *= -9
    assert not np.array_equal(embed(prepared_shop, features).centroids, made.centroids)


def test_clusters_are_the_nearest_centroids(prepared_shop, features):
    made = embed(prepared_shop, features)
    assert made.centroids.shape == (7, 6) and made.cluster_id.dtype == np.int32
    distance = np.square(made.embedding[:, None] - made.centroids[None]).sum(-1)
    np.testing.assert_array_equal(made.cluster_id, distance.argmin(axis=1))
    again = embed(prepared_shop, features)
    np.testing.assert_array_equal(again.cluster_id, made.cluster_id)


def test_too_many_clusters(prepared_shop, features, first_seen, cuts):
    known = (first_seen < cuts[1]).sum()
    embed(prepared_shop, features, clusters=int(known))
    message = f"embed.clusters: 55 clusters need as many items, only {known} were seen before"
    with pytest.raises(InputError, match=message):
        embed(prepared_shop, features, clusters=55)


def test_metadata(prepared_shop, features):
    made = embed(prepared_shop, features)
    manifest = (prepared_shop / "manifest.json").read_bytes()
    assert made.metadata == {
        "encoder_fingerprint": "fingerprint",
        "data_manifest_sha256": hashlib.sha256(manifest).hexdigest(),
        "centred": True,
        "settings": {
            "clusters": 7,
            "centre": True,
            "image_size": None,
            "seed": 0,
            "semantic_levels": 0,
            "semantic_codes": 64,
        },
        "cuts": read_manifest(prepared_shop)["cuts"],
        "items": 60,
        "mean_pairwise_cosine": pytest.approx(metrics.mean_pairwise_cosine(made.embedding)),
        "effective_rank": pytest.approx(metrics.effective_rank(made.embedding)),
        "balance": cluster_balance(made.cluster_id, 7),
    }


def test_later_items_have_no_say_in_semantic_ids(prepared_shop, features, first_seen, cuts):
    late = first_seen >= cuts[1]
    levels = {"semantic_levels": 3, "semantic_codes": 4}
    made = embed(prepared_shop, features, **levels)
    assert made.codebooks.shape == (3, 4, 6) and made.semantic_id.shape == (60, 3)
    np.testing.assert_array_equal(made.semantic_id, assign_codes(made.embedding, made.codebooks))
    described = made.metadata["semantic_ids"]
    assert (described["levels"], described["codes"]) == (3, 4)
    assert described["distinct"] == len(set(map(tuple, made.semantic_id)))
    features[late] *= -9
    changed = embed(prepared_shop, features, **levels)
    np.testing.assert_array_equal(changed.codebooks, made.codebooks)
    np.testing.assert_array_equal(changed.semantic_id[~late], made.semantic_id[~late])
    assert not np.array_equal(changed.semantic_id[late], made.semantic_id[late])


def test_large_catalogues_are_worked_on_in_parts_and_in_place(
    prepared_shop, features, tmp_path, monkeypatch
):
    made = embed(prepared_shop, features)
    monkeypatch.setattr("tfrec_vis.embeddings.embed._SLICE", 7)
    mapped = np.memmap(tmp_path / "features", np.float32, "w+", shape=(60, 6))
    mapped[:] = features
    catalogue = read_items(prepared_shop)
    manifest = (prepared_shop / "manifest.json").read_bytes()
    seen = catalogue.first_seen[1:]
    again = embed_catalogue(mapped, made.item_id, seen, manifest, SETTINGS, "print", mapped)
    assert again.embedding is mapped
    np.testing.assert_allclose(mapped, made.embedding, atol=1e-6)
    np.testing.assert_allclose(again.centre, made.centre, atol=1e-6)
    np.testing.assert_array_equal(again.cluster_id, made.cluster_id)


@pytest.mark.parametrize(
    "settings, told",
    [
        ({"semantic_levels": 1}, "embed.semantic_levels: expected 2 or 3, or 0 for no semantic"),
        ({"semantic_levels": 4}, "embed.semantic_levels: expected 2 or 3"),
        ({"semantic_codes": 1}, "embed.semantic_codes: expected 2 to"),
    ],
)
def test_wrong_settings(settings, told):
    with pytest.raises(InputError, match=told):
        EmbedSettings(**settings)


def test_a_feature_of_zeros_stays_finite(prepared_shop, features):
    features[3] = 0
    made = embed(prepared_shop, features, centre=False)
    np.testing.assert_array_equal(made.embedding[3], np.zeros(6))


def test_features_that_are_not_finite_name_the_first_item(prepared_shop, features, monkeypatch):
    monkeypatch.setattr("tfrec_vis.embeddings.embed._SLICE", 7)
    features[[40, 23], 2] = np.nan, np.inf
    item = read_items(prepared_shop).item_id[1:][23]
    with pytest.raises(InputError, match=f"item {item}: the encoder gives features that are not"):
        embed(prepared_shop, features)


def test_pretraining_items(prepared_shop, first_seen, cuts):
    chosen = pretraining_items(read_items(prepared_shop), cuts[0])
    assert not chosen[0] and chosen.shape == (61,)
    np.testing.assert_array_equal(chosen[1:], first_seen < cuts[0])


def test_encodes_every_item_in_order(prepared_shop):
    model = keras.Sequential(
        [keras.Input([None, None, 3]), keras.layers.GlobalAveragePooling2D(dtype="float32")]
    )
    images = read_items(prepared_shop).image[1:]
    for size in (None, 24):
        encoded = encode_items(model, prepared_shop, size, batch_size=25)
        pictures = [decode_letterboxed(image, size or 32).numpy() for image in images]
        expected = [picture.reshape(-1, 3).mean(axis=0) for picture in pictures]
        assert encoded.dtype == np.float32
        np.testing.assert_allclose(encoded, expected, rtol=1e-4)
        some = np.array([41, 7, 60])
        chosen = encode_items(model, prepared_shop, size, 2, some)
        np.testing.assert_allclose(chosen, encoded[some - 1], rtol=1e-6)


def test_fingerprint_tells_weights_apart():
    models = [keras.Sequential([keras.Input([3]), keras.layers.Dense(2)]) for _ in range(2)]
    prints = [weights_fingerprint(model) for model in models]
    assert prints[0] != prints[1]
    models[1].set_weights(models[0].get_weights())
    assert weights_fingerprint(models[1]) == prints[0]
    models[1].layers[0].bias.assign(tf.constant([0.0, 1e-7]))
    assert weights_fingerprint(models[1]) != prints[0]


def test_fingerprint_is_the_same_where_layers_are_frozen():
    class Block(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.parts = [keras.layers.Dense(2), keras.layers.BatchNormalization()]
            self.parts.append(keras.layers.Dense(2))

        def call(self, x):
            for part in self.parts:
                x = part(x)
            return x

    model = keras.Sequential([keras.Input([3]), Block()])
    before, order = weights_fingerprint(model), [w.name for w in model.weights]
    model.layers[0].parts[1].trainable = False
    assert [w.name for w in model.weights] != order
    assert weights_fingerprint(model) == before
