"""Pictures of the catalogue to features."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras as keras

from tfrec_vis.data import decode_letterboxed_batch, read_manifest
from tfrec_vis.data.items import read_pictures, stream_pictures


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
    manifest = read_manifest(prepared)
    encode = jpeg_encoder(model, image_size or manifest["settings"]["image_size"])
    if item_index is not None:
        chosen = read_pictures(prepared, item_index)
        starts = range(0, len(chosen), batch_size)
        return np.concatenate([encode(chosen[i : i + batch_size]) for i in starts])
    features: np.ndarray | None = None
    for index, jpegs in stream_pictures(prepared):
        for start in range(0, len(index), batch_size):
            rows = slice(start, start + batch_size)
            encoded = encode(jpegs[rows])
            if features is None:
                features = np.empty([manifest["item_count"], encoded.shape[1]], np.float32)
            features[index[rows] - 1] = encoded
    assert features is not None  # prepared data have items
    return features


def jpeg_encoder(
    model: keras.Model, image_size: int
) -> Callable[[Sequence[bytes] | np.ndarray], np.ndarray]:
    """A function of JPEGs [n] that decodes and encodes them: float32 [n, d]."""

    def encode(jpegs: tf.Tensor) -> tf.Tensor:
        pictures = decode_letterboxed_batch(jpegs, image_size, jpeg=True)
        return tf.cast(model(pictures, training=False), tf.float32)

    traced = tf.function(
        encode, autograph=False, input_signature=[tf.TensorSpec([None], tf.string)]
    )
    # Called itself, it would warn of retracing where models follow one another.
    return lambda jpegs: traced.get_concrete_function()(tf.constant(jpegs, tf.string)).numpy()


def weights_fingerprint(model: keras.Model) -> str:
    """SHA-256 over a model's weights, whatever their order: what is frozen changes that."""
    weights = model.get_weights()
    each = sorted(hashlib.sha256(np.ascontiguousarray(w).tobytes()).digest() for w in weights)
    return hashlib.sha256(b"".join(each)).hexdigest()
