"""The image encoder as a SavedModel of core TensorFlow operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfrec_vis.embeddings import Embeddings
from tfrec_vis.serving.pictures import picture_embedder


def export_encoder(
    encode: Callable[..., tf.Tensor],
    image_size: int,
    embeddings: Embeddings,
    path: Path,
    prepared: Mapping[str, Any] | None = None,
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
    not read. A picture that is empty, of another format, of more than 50 million pixels or broken
    fails the request with InvalidArgument; of all but broken ones the message gives the positions.

    Args:
        encode: a Keras model, pictures uint8 [n, h, w, 3] -> [n, d]; called with
            ``training=False``.
        image_size: side of the letterboxed pictures it was trained on, pixels.
        embeddings: the catalogue's embeddings by this encoder.
        path: folder to write into.
        prepared: as ``picture_embedder`` takes it.
    """
    embedded = picture_embedder(encode, image_size, embeddings, prepared)

    def embed(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs = embedded(image_bytes)
        return {name: outputs[name] for name in ("embedding", "cluster_id")}

    # One function for both signatures: an encoder takes long to trace.
    traced = tf.function(embed, autograph=False)

    def embed_examples(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        feature = tf.io.FixedLenFeature([], tf.string)
        return traced(tf.io.parse_example(examples, {"image": feature})["image"])

    signatures = {
        "serving_default": traced.get_concrete_function(
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
