"""An encoder with every kind of state that a checkpoint has to hold."""

from __future__ import annotations

import tensorflow as tf
import tf_keras as keras


@keras.saving.register_keras_serializable(package="tests")
class Remembering(keras.layers.Layer):
    """Adds what it saw before, and noise from TensorFlow's global generator (as keras-cv does)."""

    def build(self, input_shape):
        self.memory = self.add_weight("memory", shape=[input_shape[-1]], trainable=False)

    def call(self, x, training=None):
        if training:
            x += 0.01 * tf.random.get_global_generator().normal(tf.shape(x)) + 0.1 * self.memory
            self.memory.assign(0.9 * self.memory + 0.1 * tf.reduce_mean(x, axis=0))
        return x


def noisy_encoder(features: int = 8) -> keras.Model:
    """Pictures [n, h, w, 3] -> [n, features], random in training."""
    pictures = keras.Input([None, None, 3])
    x = keras.layers.Rescaling(1 / 127.5, -1)(pictures)
    x = keras.layers.RandomFlip()(x)
    x = keras.layers.Conv2D(features, 5, 4, activation="tanh")(x)
    x = keras.layers.Dropout(0.3)(keras.layers.GlobalAveragePooling2D()(x))
    return keras.Model(pictures, Remembering()(x))
