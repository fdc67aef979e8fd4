from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from clean_process import call_in_clean_process
from PIL import Image

from tfrec_vis.data import decode_letterboxed
from tfrec_vis.embeddings import Embeddings, assign_clusters
from tfrec_vis.pretraining import Courier
from tfrec_vis.serving import export_encoder

SIZE, WIDTH, PICTURES = 16, 6, 9


def picture_bytes(i: int, kind: str = "JPEG") -> bytes:
    colours = np.random.default_rng(i).integers(0, 256, [3, 4, 3], dtype=np.uint8)
    picture = Image.fromarray(colours).resize((20 + i, 30 - i))
    file = io.BytesIO()
    picture.save(file, kind)
    return file.getvalue()


def courier() -> Courier:
    encoder = keras.Sequential(
        [
            keras.layers.Rescaling(1 / 255, input_shape=(None, None, 3)),
            keras.layers.Conv2D(8, 3, activation="relu"),
            # Trained, it would drop half the features: an export must call it as inference.
            keras.layers.Dropout(0.5),
            keras.layers.GlobalAveragePooling2D(),
        ]
    )
    return Courier(encoder, embedding_dim=WIDTH, num_heads=2)


def embeddings_of(features: np.ndarray) -> Embeddings:
    """As ``embed_features`` computes them, row by row in float64."""
    centre = features.mean(axis=0)
    rows = [f.astype(np.float64) - centre for f in features]
    vectors = np.array([row / np.sqrt(np.sum(row**2)) for row in rows], np.float32)
    centroids = vectors[:4] * np.array([[1.0], [0.6], [0.9], [0.3]], np.float32)
    clusters = assign_clusters(vectors, centroids)
    ids = np.array([str(i) for i in range(len(features))], object)
    return Embeddings(ids, vectors, clusters, centroids, centre, {})


@pytest.fixture(scope="module")
def bytes_of_pictures() -> list[bytes]:
    return [picture_bytes(i, "PNG" if i % 3 == 0 else "JPEG") for i in range(PICTURES)]


@pytest.fixture(scope="module")
def embeddings_and_path(
    bytes_of_pictures: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Embeddings, Path]:
    keras.utils.set_random_seed(1)
    model = courier()
    pictures = np.stack([decode_letterboxed(b, SIZE).numpy() for b in bytes_of_pictures])
    embeddings = embeddings_of(model.predict(pictures, verbose=0))
    path = tmp_path_factory.mktemp("encoder") / "saved"
    export_encoder(model, SIZE, embeddings, path)
    return embeddings, path


def example(image: bytes) -> bytes:
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[image]))
    return tf.train.Example(
        features=tf.train.Features(feature={"image": feature})
    ).SerializeToString()


def test_gives_the_stored_embeddings_where_only_tensorflow_is(
    embeddings_and_path: tuple[Embeddings, Path], bytes_of_pictures: list[bytes], tmp_path: Path
) -> None:
    embeddings, path = embeddings_and_path
    examples = [example(b) for b in bytes_of_pictures]
    by_bytes, by_example, one, none = call_in_clean_process(
        [
            (path, "serving_default", {"image_bytes": tf.constant(bytes_of_pictures)}),
            (path, "examples", {"examples": tf.constant(examples)}),
            (path, "serving_default", {"image_bytes": tf.constant(bytes_of_pictures[3:4])}),
            (path, "serving_default", {"image_bytes": tf.zeros([0], tf.string)}),
        ],
        tmp_path,
    )
    assert len(set(embeddings.cluster_id)) > 1
    for outputs, rows in (
        (by_bytes, slice(None)),
        (by_example, slice(None)),
        (one, slice(3, 4)),
        (none, slice(0, 0)),
    ):
        assert set(outputs) == {"embedding", "cluster_id"}
        assert outputs["embedding"].dtype == np.float32
        assert outputs["cluster_id"].dtype == np.int32
        np.testing.assert_allclose(outputs["embedding"], embeddings.embedding[rows], atol=1e-5)
        np.testing.assert_array_equal(outputs["cluster_id"], embeddings.cluster_id[rows])


def test_signatures_are_named_and_typed(embeddings_and_path: tuple[Embeddings, Path]) -> None:
    signatures = tf.saved_model.load(str(embeddings_and_path[1])).signatures
    assert set(signatures) == {"serving_default", "examples"}
    for name, given in (("serving_default", "image_bytes"), ("examples", "examples")):
        _, inputs = signatures[name].structured_input_signature
        assert inputs == {given: tf.TensorSpec([None], tf.string, name=given)}
        outputs = signatures[name].structured_outputs
        assert outputs["embedding"].shape.as_list() == [None, WIDTH]
        assert outputs["cluster_id"].shape.as_list() == [None]


@pytest.mark.parametrize("bad", [b"", b"hello", b"RIFF0000WEBP"])
def test_says_which_picture_is_none(
    embeddings_and_path: tuple[Embeddings, Path], bytes_of_pictures: list[bytes], bad: bytes
) -> None:
    call = tf.saved_model.load(str(embeddings_and_path[1])).signatures["serving_default"]
    request = tf.constant([*bytes_of_pictures[:2], bad])
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"JPEG, PNG, GIF or BMP[\s\S]*\[2\]"):
        call(image_bytes=request)


def test_a_broken_picture_is_refused(
    embeddings_and_path: tuple[Embeddings, Path], bytes_of_pictures: list[bytes]
) -> None:
    call = tf.saved_model.load(str(embeddings_and_path[1])).signatures["serving_default"]
    broken = bytes_of_pictures[1][: len(bytes_of_pictures[1]) // 2]
    with pytest.raises(tf.errors.InvalidArgumentError, match="JPEG"):
        call(image_bytes=tf.constant([broken]))
