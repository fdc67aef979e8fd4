"""Requests as serialized tf.Examples, for the signature ``examples``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf


def serialized_examples(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """One tf.Example for each row.

    Args:
        inputs: features by name: text or bytes, or whole numbers, [n] or [n, ...], with the same n.

    Returns:
        bytes object [n].

    Example:
        >>> import numpy as np, tensorflow as tf
        >>> (one,) = serialized_examples({"item_id": np.array(["a"]), "timestamp": np.array([7])})
        >>> tf.train.Example.FromString(one).features.feature["timestamp"].int64_list.value[:]
        [7]
    """
    columns = {name: np.asarray(values) for name, values in inputs.items()}
    rows = len(next(iter(columns.values())))
    examples = np.empty(rows, object)
    for row in range(rows):
        feature = {name: _feature(np.ravel(values[row])) for name, values in columns.items()}
        features = tf.train.Features(feature=feature)
        examples[row] = tf.train.Example(features=features).SerializeToString()
    return examples


def _feature(values: np.ndarray) -> tf.train.Feature:
    if values.dtype.kind in "iu":
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    encoded = [value if isinstance(value, bytes) else str(value).encode() for value in values]
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=encoded))
