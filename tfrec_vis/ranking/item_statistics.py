"""How popular and how recent an item was at a given moment."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

_DAY = 86_400
_TIME_BITS = 34
"""Timestamps take the low bits of a key: seconds up to the year 2514."""


@keras.saving.register_keras_serializable(package="tfrec_vis")
class ItemStatistics(keras.layers.Layer):
    """Dated statistics of an item from a table of events, strictly before each row's time.

    With N(a, b) the item's events in [a, b), t the row's timestamp and first and last its
    first and last events before t:

        log(1 + N(0, t)), log(1 + N(t - 30 d, t)), log(1 + N(t - 7 d, t)),
        log(1 + days since last), log(1 + days since first), N(0, t) > 0

    (the days are 0 where there is no event). The table travels inside the layer, so training,
    evaluation and serving read the same numbers.

    Args:
        events: number of events in the table; fill it with ``set_events``.
    """

    width = 6

    def __init__(self, events: int, **kwargs: Any) -> None:
        super().__init__(**kwargs, dtype="float32")
        self.events = events
        self.keys = self.add_weight(
            name="events", shape=[events], dtype=tf.int64, initializer="zeros", trainable=False
        )

    def set_events(self, item_index: np.ndarray, timestamp: np.ndarray) -> None:
        """Fills the table: one item and time (seconds) per event, in any order."""
        keys = (item_index.astype(np.int64) << _TIME_BITS) + timestamp.astype(np.int64)
        self.keys.assign(np.sort(keys))

    def call(self, item_index: tf.Tensor, timestamp: tf.Tensor) -> tf.Tensor:
        """Statistics of each row.

        Args:
            item_index: int [n].
            timestamp: int64 [n], seconds.

        Returns:
            float32 [n, 6].
        """
        item = tf.bitwise.left_shift(tf.cast(item_index, tf.int64), tf.cast(_TIME_BITS, tf.int64))
        timestamp = tf.cast(timestamp, tf.int64)

        def before(time: tf.Tensor) -> tf.Tensor:
            wanted = item + tf.maximum(time, 0)
            return tf.searchsorted(self.keys, wanted, side="left", out_type=tf.int64)

        start, now = before(tf.zeros_like(timestamp)), before(timestamp)
        count = now - start
        seen = count > 0

        def days_since(position: tf.Tensor) -> tf.Tensor:
            position = tf.clip_by_value(position, 0, max(self.events - 1, 0))
            event = tf.gather(self.keys, position) - item
            days = tf.cast(timestamp - event, tf.float32) / _DAY
            return tf.where(seen, days, 0.0)

        columns = [
            tf.cast(count, tf.float32),
            tf.cast(now - before(timestamp - 30 * _DAY), tf.float32),
            tf.cast(now - before(timestamp - 7 * _DAY), tf.float32),
            days_since(now - 1) if self.events else tf.zeros_like(count, tf.float32),
            days_since(start) if self.events else tf.zeros_like(count, tf.float32),
        ]
        logs = [tf.math.log1p(column) for column in columns]
        return tf.stack([*logs, tf.cast(seen, tf.float32)], axis=1)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        config = {**super().get_config(), "events": self.events}
        config.pop("dtype", None)
        return config
