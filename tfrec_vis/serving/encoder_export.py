"""The image encoder as a SavedModel of core TensorFlow operations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from tfrec_vis.data import decode_letterboxed_batch
from tfrec_vis.embeddings import Embeddings

_FIRST_BYTES = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM")
"""What JPEG, PNG, GIF and BMP files begin with."""


def export_encoder(
    encode: Callable[..., tf.Tensor], image_size: int, embeddings: Embeddings, path: Path
) -> None:
    """Writes an encoder, and the centre and centroids of its embeddings, as a SavedModel.

        embedding = (f - centre) / |f - centre|,   cluster_id = argmin_k |embedding - c_k|

    with f what the encoder gives for the picture, as in ``embeddings.embed_features``. Two
    signatures, for any n, also 0:

        serving_default   {image_bytes: string [n]}
        examples          {examples: string [n]}, each a serialized tf.Example with the bytes
                          feature ``image``
        both give         {embedding: float32 [n, d], cluster_id: int32 [n]}

    Pictures are JPEG, PNG, GIF (first frame) or BMP and already upright: EXIF orientation is
    not read. A picture that is empty, of another format or broken fails the request with
    InvalidArgument; of the first two kinds the message gives the positions.

    Args:
        encode: a Keras model, pictures uint8 [n, h, w, 3] -> [n, d]; called with
            ``training=False``.
        image_size: side of the letterboxed pictures it was trained on, pixels.
        embeddings: the catalogue's embeddings by this encoder.
        path: folder to write into.
    """
    centre = tf.constant(embeddings.centre, tf.float32)
    centroids = tf.constant(embeddings.centroids, tf.float32)

    def embed(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.control_dependencies([_check_pictures(image_bytes)]):
            pictures = decode_letterboxed_batch(image_bytes, image_size)
        # Fused convolutions give wrong shapes for no picture: then a black one goes through.
        count = tf.shape(pictures)[0]
        pictures = tf.pad(pictures, [[0, tf.cast(count == 0, tf.int32)], [0, 0], [0, 0], [0, 0]])
        features = encode(pictures, training=False)[:count]
        features = tf.cast(features, tf.float32) - centre
        length = tf.norm(features, axis=1, keepdims=True)
        embedding = features / tf.maximum(length, 1e-12)
        # |e - c|^2 without |e|^2, which is the same for every centroid.
        distance = tf.reduce_sum(centroids**2, axis=1) - 2 * tf.matmul(
            embedding, centroids, transpose_b=True
        )
        return {
            "embedding": embedding,
            "cluster_id": tf.argmin(distance, axis=1, output_type=tf.int32),
        }

    def embed_examples(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        feature = tf.io.FixedLenFeature([], tf.string)
        return embed(tf.io.parse_example(examples, {"image": feature})["image"])

    signatures = {
        "serving_default": tf.function(embed, autograph=False).get_concrete_function(
            tf.TensorSpec([None], tf.string, name="image_bytes")
        ),
        "examples": tf.function(embed_examples, autograph=False).get_concrete_function(
            tf.TensorSpec([None], tf.string, name="examples")
        ),
    }
    # Only the variables are kept: the Keras model itself would be written along with them.
    module = tf.Module()
    module.used = list(signatures["serving_default"].variables)
    tf.saved_model.save(module, str(path), signatures)


def _check_pictures(image_bytes: tf.Tensor) -> tf.Operation:
    known = tf.zeros_like(image_bytes, tf.bool)
    for first in _FIRST_BYTES:
        known |= tf.strings.substr(image_bytes, 0, len(first)) == first
    message = "expected JPEG, PNG, GIF or BMP bytes; empty or something else at positions:"
    return tf.debugging.Assert(
        tf.reduce_all(known), [message, tf.where(~known)[:, 0]], summarize=10
    )
