from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfrec_vis.serving import serialized_examples


def test_is_read_back_by_tensorflow() -> None:
    columns = {
        "image": np.array([b"\xff\x00a", b""], object),
        "user_id": np.array(["zoë", ""]),
        "history": np.array([["a", "b", ""], ["", "", ""]], object),
        "timestamp": np.array([2**40, -3]),
    }
    read = tf.io.parse_example(
        tf.constant(serialized_examples(columns)),
        {
            "image": tf.io.FixedLenFeature([], tf.string),
            "user_id": tf.io.FixedLenFeature([], tf.string),
            "history": tf.io.FixedLenFeature([3], tf.string),
            "timestamp": tf.io.FixedLenFeature([], tf.int64),
        },
    )
    assert read["image"].numpy().tolist() == [b"\xff\x00a", b""]
    assert [text.decode() for text in read["user_id"].numpy()] == ["zoë", ""]
    assert read["history"].numpy().tolist() == [[b"a", b"b", b""], [b"", b"", b""]]
    assert read["timestamp"].numpy().tolist() == [2**40, -3]


def test_no_rows_give_no_examples() -> None:
    assert serialized_examples({"item_id": np.zeros(0, "U1")}).shape == (0,)
