"""The two ends that every encoder shares: pictures in, one float32 row for each out."""

from __future__ import annotations

import tensorflow as tf
import tf_keras as keras


def pictures_in() -> tuple[tf.Tensor, tf.Tensor]:
    """The model's input [n, h, w, 3], and float32 pictures to go on with, never none."""
    pictures = keras.Input([None, None, 3], name="image")
    return pictures, AtLeastOne(name="at_least_one", dtype="float32")(pictures)


def features_out(x: tf.Tensor, pictures: tf.Tensor) -> tf.Tensor:
    """The mean of a map [max(n, 1), h, w, c] over positions -> float32 [n, c]."""
    return GlobalPooling(name="pooling", dtype="float32")([x, pictures])


@keras.saving.register_keras_serializable(package="tfrec_vis")
class AtLeastOne(keras.layers.Layer):
    """Gives an empty batch a black picture: [n, h, w, 3] -> [max(n, 1), h, w, 3].

    TensorFlow's oneDNN convolutions (2.16) return an empty batch in the shape it came in.
    """

    @tf.autograph.experimental.do_not_convert
    def call(self, pictures: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Adds a picture where there is none."""
        shape = tf.shape(pictures)
        missing = tf.zeros([1 - tf.minimum(shape[0], 1), shape[1], shape[2], 3], pictures.dtype)
        return tf.concat([pictures, missing], axis=0)


@keras.saving.register_keras_serializable(package="tfrec_vis")
class GlobalPooling(keras.layers.Layer):
    """The mean over positions, without the row of ``AtLeastOne``."""

    @tf.autograph.experimental.do_not_convert
    def call(self, inputs: list[tf.Tensor], training: bool | None = None) -> tf.Tensor:
        """[max(n, 1), h, w, c] and the n pictures -> [n, c]."""
        x, pictures = inputs
        return tf.reduce_mean(x, axis=[1, 2])[: tf.shape(pictures)[0]]
