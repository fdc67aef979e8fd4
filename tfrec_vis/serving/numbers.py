"""Text to numbers inside a graph."""

from __future__ import annotations

import numpy as np
import tensorflow as tf


def numbers_of(values: np.ndarray) -> tf.lookup.StaticHashTable:
    """A table of values to their numbers from 1; others are 0."""
    numbers = tf.range(1, len(values) + 1, dtype=tf.int32)
    pairs = tf.lookup.KeyValueTensorInitializer(tf.constant(list(values), tf.string), numbers)
    return tf.lookup.StaticHashTable(pairs, default_value=0)
