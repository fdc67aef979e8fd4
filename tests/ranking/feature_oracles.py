"""Visual features of single rows, by loops in float64."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfrec_vis.ranking import TargetAttention


def random_weights(layer: tf.keras.layers.Layer, seed: int = 0) -> None:
    """Gives a built layer's trained weights values of usual size, biases too."""
    random = np.random.default_rng(seed)
    for weight in layer.trainable_weights:
        weight.assign(random.normal(size=weight.shape))


def attended(
    layer: TargetAttention, query: np.ndarray, keys: np.ndarray, valid: np.ndarray
) -> np.ndarray:
    """One row's target attention: [d], [L, d], bool [L] -> [d]."""
    *hidden, last = [(d.kernel.numpy().astype(float), d.bias.numpy()) for d in layer.network]
    powers, pooled = {}, np.zeros(len(query))
    for i in np.flatnonzero(valid):
        x = np.concatenate([query, keys[i], query - keys[i], query * keys[i]])
        for kernel, bias in hidden:
            x = np.maximum(x @ kernel + bias, 0)
        powers[i] = np.exp((x @ last[0] + last[1])[0])
    for i, power in powers.items():
        pooled += power / sum(powers.values()) * keys[i]
    return pooled
