"""Pictures of the catalogue to features."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras as keras

from tfrec_vis.data import decode_letterboxed_batch, items, read_manifest
from tfrec_vis.data.items import read_pictures


def encode_items(
    model: keras.Model,
    prepared: str | Path,
    image_size: int | None,
    batch_size: int,
    item_index: np.ndarray | None = None,
) -> np.ndarray:
    """Features of items.

    Args:
        model: pictures uint8 [n, h, w, 3] -> [n, d].
        prepared: folder that ``prepare`` wrote.
        image_size: side of the pictures, pixels; None: as prepared.
        batch_size: pictures encoded at once.
        item_index: int [n], at least one, each once; None: all, from 1.

    Returns:
        float32 [n, d].
    """
    size = image_size or read_manifest(prepared)["settings"]["image_size"]
    if item_index is not None:
        encode = jpeg_encoder(model, size)
        jpegs = read_pictures(prepared, item_index)
        starts = range(0, len(jpegs), batch_size)
        return np.concatenate([encode(jpegs[i : i + batch_size]) for i in starts])
    encode_batch = tf.function(
        lambda pictures: model(pictures, training=False),
        autograph=False,
        input_signature=[tf.TensorSpec([None, size, size, 3], tf.uint8)],
    )
    batches = items(prepared, size, batch_size)
    return np.concatenate([encode_batch(b["image"]).numpy().astype(np.float32) for b in batches])


def jpeg_encoder(model: keras.Model, image_size: int) -> Callable[[list[bytes]], np.ndarray]:
    """A function of JPEGs [n] that decodes and encodes them: float32 [n, d]."""

    def encode(jpegs: tf.Tensor) -> tf.Tensor:
        pictures = decode_letterboxed_batch(jpegs, image_size, jpeg=True)
        return tf.cast(model(pictures, training=False), tf.float32)

    traced = tf.function(
        encode, autograph=False, input_signature=[tf.TensorSpec([None], tf.string)]
    )
    return lambda jpegs: traced(tf.constant(jpegs, tf.string)).numpy()


def weights_fingerprint(model: keras.Model) -> str:
    """SHA-256 over a model's weights."""
    digest = hashlib.sha256()
    for weight in model.get_weights():
        digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()
