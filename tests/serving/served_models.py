"""Small published models for tests of the client and of what serves them."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfrec_vis.serving import publish


def publish_texts(root: Path, factor: float) -> Path:
    """A model of text, bytes and numbers, in and out.

        serving_default   {item_id [n], history_item_id [n, L], timestamp [n]} -> {score [n]}:
                          factor * (bytes in item_id + clicks in the history) + timestamp
        pictures          {image_bytes [n]} -> {size int32 [n], pixels float32 [n, 2],
                          head_bytes string [n], names string [n, 2]}

    An ``item_id`` that is empty fails the request.
    """

    def score(
        item_id: tf.Tensor, history_item_id: tf.Tensor, timestamp: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        length = tf.strings.length(item_id)
        check = tf.debugging.Assert(tf.reduce_all(length > 0), ["an item_id is empty:", item_id])
        with tf.control_dependencies([check]):
            clicks = tf.reduce_sum(tf.cast(history_item_id != "", tf.int32), axis=1)
        total = tf.cast(length + clicks, tf.float32)
        return {"score": factor * total + tf.cast(timestamp, tf.float32)}

    def pictures(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        size = tf.strings.length(image_bytes)
        text = tf.strings.as_string(size)
        return {
            "size": size,
            "pixels": tf.stack([tf.cast(size, tf.float32) / 3, tf.cast(-size, tf.float32)], 1),
            "head_bytes": tf.strings.substr(image_bytes, 0, 4),
            "names": tf.stack([text, tf.strings.join(["größe ", text])], 1),
        }

    def spec(shape: list[None], dtype: tf.DType, name: str) -> tf.TensorSpec:
        return tf.TensorSpec(shape, dtype, name=name)

    signatures = {
        "serving_default": tf.function(score, autograph=False).get_concrete_function(
            spec([None], tf.string, "item_id"),
            spec([None, None], tf.string, "history_item_id"),
            spec([None], tf.int64, "timestamp"),
        ),
        "pictures": tf.function(pictures, autograph=False).get_concrete_function(
            spec([None], tf.string, "image_bytes")
        ),
    }

    def write(path: Path) -> None:
        tf.saved_model.save(tf.Module(), str(path), signatures)

    return publish(write, root, "texts")


def rows_of(count: int) -> dict[str, Any]:
    """Histories of all lengths up to 6."""
    draw = random.Random(count)
    return {
        "item_id": [f"item {draw.randint(0, 10**9)}é" for _ in range(count)],
        "history_item_id": [[str(i)] * draw.randint(0, 6) for i in range(count)],
        "timestamp": [draw.randint(0, 10**6) for _ in range(count)],
    }


def scores_of(rows: dict[str, Any], factor: float = 10) -> list[float]:
    """What the model is to answer."""
    return [
        factor * (len(item.encode()) + len(history)) + moment
        for item, history, moment in zip(*rows.values(), strict=True)
    ]
