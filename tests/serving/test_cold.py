"""A product that is not in the catalogue yet, by its photo."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from PIL import Image
from ranker_cases import (
    HISTORY,
    ITEMS,
    ROWS,
    START,
    WIDTH,
    Request,
    as_request,
    impressions,
    item_tables,
    ranker_and_scores,
    tables,
    tensors,
)

from tfrec_vis.data import decode_letterboxed
from tfrec_vis.embeddings import Embeddings
from tfrec_vis.prepare.images import shrink_image
from tfrec_vis.ranking import Ranker
from tfrec_vis.serving import export_ranker, picture_embedder

SIZE = 16
EVERYTHING = "vector+sim_score+cluster_id+sim_tier+semantic_id"
Signature = Callable[..., dict[str, tf.Tensor]]
VISUAL = {"vector_dim": WIDTH, "clusters": 7, "semantic": (2, 3), "categories": 4}


def photo(i: int) -> bytes:
    colours = np.random.default_rng(i).integers(0, 256, [3, 4, 3], dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(colours).resize((20 + i, 30 - i)).save(file, "PNG" if i % 2 else "JPEG")
    return file.getvalue()


PHOTOS = [photo(i) for i in range(5)]


def encoder() -> keras.Model:
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Rescaling(1 / 255, input_shape=(SIZE, SIZE, 3)),
            layers.Conv2D(8, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(WIDTH),
        ]
    )
    random = np.random.default_rng(11)
    for variable in model.trainable_variables:
        variable.assign(random.normal(scale=0.5, size=variable.shape))
    return model


def embeddings(model: keras.Model) -> Embeddings:
    """Only what is asked of them here: centre, centroids and codebooks."""
    pictures = np.stack([decode_letterboxed(data, SIZE).numpy() for data in PHOTOS])
    centre = model.predict(pictures, verbose=0).mean(axis=0)
    random = np.random.default_rng(12)
    return Embeddings(
        np.zeros(0, object),
        np.zeros([0, WIDTH], np.float32),
        np.zeros(0, np.int32),
        random.normal(scale=0.5, size=[7, WIDTH]).astype(np.float32),
        centre,
        {},
        np.zeros([0, 2], np.int32),
        random.normal(scale=0.5, size=[2, 3, WIDTH]).astype(np.float32),
    )


def by_hand(
    model: keras.Model, known: Embeddings, data: bytes
) -> tuple[np.ndarray, int, list[int]]:
    """Vector, cluster and semantic id of one photo, in float64."""
    picture = decode_letterboxed(data, SIZE).numpy()[np.newaxis]
    feature = model.predict(picture, verbose=0)[0].astype(np.float64) - known.centre
    vector = feature / np.sqrt(np.sum(feature**2))
    cluster = int(np.argmin([np.sum((vector - c) ** 2) for c in known.centroids]))
    rest, codes = vector.copy(), []
    for book in known.codebooks:
        codes.append(int(np.argmin([np.sum((rest - c) ** 2) for c in book])))
        rest -= book[codes[-1]]
    return vector, cluster, codes


def cold_request() -> Request:
    """Rows about products that no item_id names, by one of the photos each."""
    request = as_request(impressions())
    del request["item_id"]
    request["image_bytes"] = np.array([PHOTOS[i % len(PHOTOS)] for i in range(ROWS)], object)
    return request


def send(call: Signature, request: Request) -> np.ndarray:
    pictures = tf.constant(request["image_bytes"].tolist(), tf.string)
    rest = {name: values for name, values in request.items() if name != "image_bytes"}
    return call(**tensors(rest), image_bytes=pictures)["ctr"].numpy()


@pytest.fixture(scope="module")
def cold(tmp_path_factory: pytest.TempPathFactory) -> tuple[Signature, Ranker, keras.Model]:
    """The signature of an exported ranker, the ranker and the encoder in it."""
    model = encoder()
    ranker, _ = ranker_and_scores(EVERYTHING, "din")
    path = tmp_path_factory.mktemp("cold") / "ranker"
    embed = picture_embedder(model, SIZE, embeddings(model))
    export_ranker(ranker, tables(), path, cold=embed)
    return tf.saved_model.load(str(path)).signatures["cold"], ranker, model


def test_is_the_keras_model_with_the_item_put_in_its_tables_by_hand(
    cold: tuple[Signature, Ranker, keras.Model],
) -> None:
    call, ranker, model = cold
    answered = send(call, cold_request())

    # Further rows of the tables, like row 0 in everything but the picture.
    new = range(ITEMS + 1, ITEMS + 1 + len(PHOTOS))
    rows = [*range(ITEMS + 1), *([0] * len(PHOTOS))]
    known = tables()
    grown = replace(
        known,
        item_id=np.array([*known.item_id, *(f"new-{i}" for i in new)]),
        values=known.values[rows],
        rarity=known.rarity[rows],
    )
    visual = {name: table[rows] for name, table in item_tables().items()}
    for i, data in zip(new, PHOTOS, strict=True):
        found = by_hand(model, embeddings(model), data)
        visual["vectors"][i], visual["clusters"][i], visual["semantic_ids"][i] = found
    assert len({*visual["clusters"][ITEMS + 1 :]}) > 1
    oracle = Ranker(grown, EVERYTHING, visual=VISUAL)
    assert oracle.visual is not None
    oracle.visual.set_tables(**visual)
    oracle.set_learned(ranker.learned())
    # What the request's histories are once strangers, repetitions and gaps are gone. The target
    # of the row it was made from was sent along, and is an ordinary click for another product.
    request = cold_request()
    number = {item: i for i, item in enumerate(known.item_id) if item}
    histories = np.zeros([ROWS, HISTORY], np.int32)
    for row, sent in enumerate(request["history_item_id"]):
        clicks = list(dict.fromkeys(number[item] for item in sent if item in number))[:HISTORY]
        histories[row, : len(clicks)] = clicks
    inputs = grown.inputs(replace(impressions(), history=histories))
    inputs["item"] = np.array([new[i % len(PHOTOS)] for i in range(ROWS)], np.int32)
    expected = tf.sigmoid(oracle({n: tf.constant(v) for n, v in inputs.items()})).numpy()
    np.testing.assert_allclose(answered, expected, rtol=0, atol=1e-5)

    inputs["item"] = np.zeros(ROWS, np.int32)
    without = tf.sigmoid(oracle({n: tf.constant(v) for n, v in inputs.items()})).numpy()
    assert np.abs(answered - without).max() > 0.01


@pytest.mark.parametrize("rows", [0, 1, 100])
def test_batches(cold: tuple[Signature, Ranker, keras.Model], rows: int) -> None:
    whole = send(cold[0], cold_request())
    chosen = np.arange(rows) % ROWS
    some = send(cold[0], {name: values[chosen] for name, values in cold_request().items()})
    np.testing.assert_allclose(some, whole[chosen], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_bytes": [*PHOTOS[:2], b""]}, r"JPEG, PNG, GIF or BMP[\s\S]*\[2\]"),
        ({"image_bytes": [b"no photo", *PHOTOS[:2]]}, r"JPEG, PNG, GIF or BMP[\s\S]*\[0\]"),
        ({"image_bytes": [*PHOTOS[:2], PHOTOS[2][:60]]}, "JPEG"),
        ({"image_bytes": PHOTOS[:2]}, "same number of rows"),
        ({"history_item_id": [[""] * 52] * 3}, "at most 51 clicks"),
        ({"timestamp": [START * 1000] * 3}, "timestamp in seconds"),
    ],
)
def test_a_wrong_request_is_refused_with_the_reason(
    cold: tuple[Signature, Ranker, keras.Model], change: dict, message: str
) -> None:
    request = {name: values[:3] for name, values in cold_request().items()}
    for name, values in change.items():
        kind = object if name == "image_bytes" else None
        request[name] = np.array(values, kind)
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        send(cold[0], request)


def test_a_photo_has_the_vector_of_the_picture_that_prepare_makes_of_it() -> None:
    model, settings = encoder(), {"image_size": SIZE, "jpeg_quality": 95}
    known = embeddings(model)

    def vectors(pictures: list[bytes], prepared: dict[str, int] | None) -> np.ndarray:
        embed = picture_embedder(model, SIZE, known, prepared)
        return embed(tf.constant(pictures))["embedding"].numpy()

    stored = [shrink_image(data, SIZE, 10**6, 95) for data in PHOTOS]
    expected = vectors(stored, None)
    np.testing.assert_array_equal(vectors(stored, settings), expected)
    shrunk, plain = (np.sum(vectors(PHOTOS, s) * expected, axis=1) for s in (settings, None))
    assert shrunk.min() > 0.9999 and plain.min() < 0.998


def test_without_visual_features_it_is_no_item(tmp_path: Path) -> None:
    ranker, _ = ranker_and_scores("none", "dcn")
    export_ranker(ranker, tables(), tmp_path)
    signatures = tf.saved_model.load(str(tmp_path)).signatures
    request = cold_request()
    named = {name: values for name, values in request.items() if name != "image_bytes"}
    named["item_id"] = np.full(ROWS, "stranger")
    expected = signatures["serving_default"](**tensors(named))["ctr"]
    np.testing.assert_allclose(send(signatures["cold"], request), expected, rtol=0, atol=1e-6)
    request["image_bytes"][4] = b""
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"[\s\S]*\[4\]"):
        send(signatures["cold"], request)


def test_its_inputs_are_named_and_typed(cold: tuple[Signature, Ranker, keras.Model]) -> None:
    _, inputs = cold[0].structured_input_signature
    assert {name: (spec.shape.as_list(), spec.dtype) for name, spec in inputs.items()} == {
        "user_id": ([None], tf.string),
        "image_bytes": ([None], tf.string),
        "history_item_id": ([None, None], tf.string),
        "timestamp": ([None], tf.int64),
        "device": ([None], tf.string),
        "page_type": ([None], tf.string),
    }
    assert cold[0].structured_outputs["ctr"].shape.as_list() == [None]
