"""From the bytes of pictures to embeddings, cluster ids and semantic ids, inside a graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from tfrec_vis.data import decode_letterboxed_batch
from tfrec_vis.embeddings import Embeddings
from tfrec_vis.serving.as_prepared import as_prepared
from tfrec_vis.serving.picture_sizes import check_sizes, picture_sizes

_FIRST_BYTES = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM")
"""What JPEG, PNG, GIF and BMP files begin with."""


def picture_embedder(
    encode: Callable[..., tf.Tensor],
    image_size: int,
    embeddings: Embeddings,
    prepared: Mapping[str, Any] | None = None,
) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """Makes the function that exports call on pictures.

        embedding = (f - centre) / |f - centre|,   cluster_id = argmin_k |embedding - c_k|

    with f what the encoder gives for the picture, as in ``embeddings.embed_features``.

    Args:
        encode: a Keras model, pictures uint8 [n, h, w, 3] -> [n, d]; called with
            ``training=False``.
        image_size: side of the letterboxed pictures it was trained on, pixels.
        embeddings: the catalogue's, by this encoder: their centre, centroids and codebooks.
        prepared: settings of the preparation, from its manifest; photos are then shrunk as it
            shrank those of the catalogue (``as_prepared``). None: pictures are taken as they come.

    Returns:
        A function of string [n], any n, to {"embedding": float32 [n, d], "cluster_id": int32 [n],
        and "semantic_id": int32 [n, levels] where the embeddings have them}. It fails with
        InvalidArgument as ``check_pictures`` and ``check_sizes`` do, and on broken pictures.
    """
    centre = tf.constant(embeddings.centre, tf.float32)
    centroids = tf.constant(embeddings.centroids, tf.float32)
    books = () if embeddings.codebooks is None else embeddings.codebooks
    codebooks = [tf.constant(book, tf.float32) for book in books]

    def embed(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.control_dependencies([check_pictures(image_bytes)]):
            sizes = picture_sizes(image_bytes)
        with tf.control_dependencies([check_sizes(sizes)]):
            if prepared is not None:
                size, quality = prepared["image_size"], prepared["jpeg_quality"]
                image_bytes = as_prepared(image_bytes, sizes, size, quality)
            pictures = decode_letterboxed_batch(image_bytes, image_size)
        # Fused convolutions give wrong shapes for no picture: then a black one goes through.
        count = tf.shape(pictures)[0]
        pictures = tf.pad(pictures, [[0, tf.cast(count == 0, tf.int32)], [0, 0], [0, 0], [0, 0]])
        features = encode(pictures, training=False)[:count]
        features = tf.cast(features, tf.float32) - centre
        length = tf.norm(features, axis=1, keepdims=True)
        embedding = features / tf.maximum(length, 1e-12)
        outputs = {"embedding": embedding, "cluster_id": _nearest(embedding, centroids)}
        if codebooks:
            residual, codes = embedding, []
            for book in codebooks:
                codes.append(_nearest(residual, book))
                residual -= tf.gather(book, codes[-1])
            outputs["semantic_id"] = tf.stack(codes, axis=1)
        return outputs

    return embed


def check_pictures(image_bytes: tf.Tensor) -> tf.Operation:
    """Fails with InvalidArgument, naming their positions, where bytes begin like no picture."""
    known = tf.zeros_like(image_bytes, tf.bool)
    for first in _FIRST_BYTES:
        known |= tf.strings.substr(image_bytes, 0, len(first)) == first
    message = "expected JPEG, PNG, GIF or BMP bytes; empty or something else at positions:"
    return tf.debugging.Assert(
        tf.reduce_all(known), [message, tf.where(~known)[:, 0]], summarize=10
    )


def _nearest(vectors: tf.Tensor, centroids: tf.Tensor) -> tf.Tensor:
    """argmin of |v - c|^2, without |v|^2, which is the same for every centroid: int32 [n]."""
    products = tf.matmul(vectors, centroids, transpose_b=True)
    distance = tf.reduce_sum(centroids**2, axis=1) - 2 * products
    return tf.argmin(distance, axis=1, output_type=tf.int32)
