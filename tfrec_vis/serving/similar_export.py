"""The catalogue's nearest neighbours as a SavedModel of core TensorFlow operations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import tensorflow as tf
import tensorflow_recommenders as tfrs

from tfrec_vis.embeddings import Embeddings
from tfrec_vis.serving.numbers import numbers_of

SIMILAR = 20
"""Neighbours that an exported model gives."""


def export_similar(
    embed: Callable[[tf.Tensor], dict[str, tf.Tensor]],
    embeddings: Embeddings,
    path: Path,
    k: int = SIMILAR,
) -> int:
    """Writes the neighbours' search, with the catalogue's vectors and the encoder, as a SavedModel.

    Two signatures, for any n, also 0:

        serving_default   {item_id: string [n]}; the item itself is left out
        image             {image_bytes: string [n]}
        both give         {item_id: string [n, k], score: float32 [n, k]}, highest cosine first

    as ``embeddings.nearest`` and ``tfrec-vis similar`` give them. An id that is not in the
    catalogue, and a picture that ``export_encoder`` would refuse, fail with InvalidArgument. Of a
    catalogue of m items m - 1 are given at most.

    Args:
        embed: as ``picture_embedder`` makes it.
        embeddings: the catalogue's.
        path: folder to write into.
        k: neighbours to give, at least 1.

    Returns:
        The number of neighbours that are given: k or m - 1.
    """
    if k < 1:
        raise ValueError(f"expected k of at least 1, got {k}")
    count = len(embeddings.item_id)
    index = tfrs.layers.factorized_top_k.BruteForce()
    index.index(tf.constant(embeddings.embedding, tf.float32))
    _, vectors = index.weights
    module = tf.Module()
    module.items = numbers_of(embeddings.item_id)
    module.item_id = tf.Variable(list(embeddings.item_id), trainable=False, dtype=tf.string)

    given = min(k, count - 1)

    def neighbours(query: tf.Tensor, itself: tf.Tensor) -> dict[str, tf.Tensor]:
        """Of some rows too many, ordered by cosines that are the same wherever a vector is."""
        _, rows = index(query, k=min(k + 1, count))
        rows = tf.sort(rows, axis=1)
        found = tf.cast(tf.gather(vectors, rows), tf.float64)
        exact = tf.einsum("nd,nkd->nk", tf.cast(query, tf.float64), found)
        left_out = rows == itself[:, tf.newaxis]
        exact = tf.where(left_out, tf.constant(-9, tf.float32), tf.cast(exact, tf.float32))
        score, place = tf.math.top_k(exact, k=given)
        chosen = tf.gather(rows, place, batch_dims=1)
        return {"item_id": tf.gather(module.item_id, chosen), "score": score}

    def of_items(item_id: tf.Tensor) -> dict[str, tf.Tensor]:
        row = module.items.lookup(item_id) - 1
        unknown = tf.boolean_mask(item_id, row < 0)
        check = tf.debugging.Assert(
            tf.size(unknown) == 0,
            ["expected item_id of the exported catalogue; unknown:", unknown],
            summarize=10,
        )
        with tf.control_dependencies([check]):
            row = tf.identity(row)
        return neighbours(tf.gather(vectors, row), row)

    def of_pictures(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        query = embed(image_bytes)["embedding"]
        return neighbours(query, tf.fill([tf.shape(query)[0]], -1))

    signatures = {
        "serving_default": tf.function(of_items, autograph=False).get_concrete_function(
            tf.TensorSpec([None], tf.string, name="item_id")
        ),
        "image": tf.function(of_pictures, autograph=False).get_concrete_function(
            tf.TensorSpec([None], tf.string, name="image_bytes")
        ),
    }
    # Only the variables are kept: the Keras models would be written along with them.
    module.used = list(signatures["image"].variables)
    tf.saved_model.save(module, str(path), signatures)
    return given
