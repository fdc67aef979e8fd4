"""An encoder small enough to train within a test."""

from __future__ import annotations

import tensorflow as tf
import tf_keras as keras


class SeenPictures(keras.layers.Layer):
    """Passes pictures on and counts them."""

    def build(self, input_shape):
        self.count = self.add_weight("count", shape=[], dtype=tf.int64, trainable=False)

    def call(self, pictures):
        self.count.assign_add(tf.shape(pictures, tf.int64)[0])
        return pictures


def tiny_encoder(features: int = 8, count: bool = False) -> keras.Model:
    """Pictures [n, h, w, 3] -> [n, features]; no batch statistics."""
    pictures = keras.Input([None, None, 3])
    x = SeenPictures(name="seen", dtype="float32")(pictures) if count else pictures
    x = keras.layers.Rescaling(1 / 127.5, -1)(x)
    x = keras.layers.Conv2D(features, 5, 4, activation="tanh")(x)
    return keras.Model(pictures, keras.layers.GlobalAveragePooling2D()(x))
