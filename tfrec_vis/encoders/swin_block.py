"""The Swin transformer block: attention within (shifted) windows."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras


@keras.saving.register_keras_serializable(package="tfrec_vis")
class SwinBlock(keras.layers.Layer):
    """One block: x + WindowAttention(LN(x)), then x + MLP(LN(x)).

    Attention runs within windows of ``window`` x ``window`` positions, with a learned bias per
    head and relative offset. With a shift the map is rolled first, and positions that were not
    neighbours before do not see each other. Maps that windows do not divide are padded; padding
    is not attended to. Where one window covers the map, there is no shift.

    Args:
        num_heads: attention heads; must divide the channels.
        window: window side.
        shift: roll of the windows, 0 to ``window`` - 1.
        expansion: width of the MLP's hidden layer in channels.
        gradient_checkpointing: in training keep the block's input alone, and compute the block
            again for its gradient: less memory for one more forward pass, the same gradient.

    Source: Liu et al., Swin Transformer (arXiv 2103.14030), section 3.2; checkpointing: Chen et
    al., Training deep nets with sublinear memory cost (arXiv 1604.06174).
    """

    def __init__(
        self,
        num_heads: int,
        window: int,
        shift: int = 0,
        expansion: int = 4,
        gradient_checkpointing: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.window = window
        self.shift = shift
        self.expansion = expansion
        if not isinstance(gradient_checkpointing, bool):
            raise ValueError(
                f"gradient_checkpointing: expected true or false, got {gradient_checkpointing!r}"
            )
        self.gradient_checkpointing = gradient_checkpointing

    def build(self, input_shape: tf.TensorShape) -> None:
        """Creates the projections for [n, h, w, channels]."""
        channels = input_shape[-1]
        if channels % self.num_heads:
            raise ValueError(
                f"expected channels that {self.num_heads} heads divide, got {channels}"
            )

        def built(layer: keras.layers.Layer, width: int) -> keras.layers.Layer:
            layer.build(tf.TensorShape([None, None, None, width]))
            return layer

        hidden = self.expansion * channels
        layers, dtype = keras.layers, self.dtype_policy
        norm = functools.partial(layers.LayerNormalization, epsilon=1e-5, dtype=dtype)
        dense = functools.partial(layers.Dense, dtype=dtype)
        self.norm_1 = built(norm(name="norm1"), channels)
        self.qkv = built(dense(3 * channels, name="qkv"), channels)
        self.projection = built(dense(channels, name="proj"), channels)
        self.norm_2 = built(norm(name="norm2"), channels)
        self.mlp_1 = built(dense(hidden, name="fc1"), channels)
        self.mlp_2 = built(dense(channels, name="fc2"), hidden)
        self.position_bias = self.add_weight(
            name="relative_position_bias",
            shape=[(2 * self.window - 1) ** 2, self.num_heads],
            initializer=keras.initializers.TruncatedNormal(stddev=0.02),
        )
        self._offsets = _relative_offsets(self.window)
        super().build(input_shape)

    # Graph code as it stands; converting it only makes building and loading slow.
    @tf.autograph.experimental.do_not_convert
    def call(self, x: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Applies the block to [n, h, w, channels]."""
        if self.gradient_checkpointing and training:
            return tf.recompute_grad(self._block)(x)
        return self._block(x)

    def _block(self, x: tf.Tensor) -> tf.Tensor:
        x = x + self._window_attention(self.norm_1(x))
        hidden = tf.nn.gelu(self.mlp_1(self.norm_2(x)), approximate=False)
        return x + self.mlp_2(hidden)

    def _window_attention(self, x: tf.Tensor) -> tf.Tensor:
        side, heads, channels = self.window, self.num_heads, x.shape[-1]
        shape = tf.shape(x)
        n, height, width = shape[0], shape[1], shape[2]
        rows, columns = -(-height // side), -(-width // side)
        bottom, right = rows * side - height, columns * side - width
        x = tf.pad(x, [[0, 0], [0, bottom], [0, right], [0, 0]])
        # One window over an axis leaves nothing to shift along it.
        shift = self.shift * tf.cast([rows > 1, columns > 1], tf.int32)
        if self.shift:
            x = tf.roll(x, -shift, axis=[1, 2])

        tokens = side * side
        windows = tf.reshape(x, [n, rows, side, columns, side, channels])
        windows = tf.transpose(windows, [0, 1, 3, 2, 4, 5])
        windows = tf.reshape(windows, [n * rows * columns, tokens, channels])

        qkv = tf.reshape(self.qkv(windows[tf.newaxis]), [-1, tokens, 3, heads, channels // heads])
        query, key, value = tf.unstack(tf.transpose(qkv, [2, 0, 3, 1, 4]), num=3)
        logits = tf.matmul(query * (channels // heads) ** -0.5, key, transpose_b=True)
        bias = tf.gather(tf.cast(self.position_bias, logits.dtype), self._offsets)
        logits = tf.cast(logits + tf.transpose(bias, [2, 0, 1]), tf.float32)

        allowed = self._same_region(height, width, rows, columns, shift)
        grouped = tf.reshape(logits, [n, rows * columns, heads, tokens, tokens])
        grouped = tf.where(allowed[tf.newaxis, :, tf.newaxis], grouped, grouped.dtype.min)
        weights = tf.nn.softmax(tf.reshape(grouped, [-1, heads, tokens, tokens]))

        attended = tf.matmul(tf.cast(weights, value.dtype), value)
        attended = tf.reshape(tf.transpose(attended, [0, 2, 1, 3]), [-1, tokens, channels])
        attended = self.projection(attended[tf.newaxis])

        x = tf.reshape(attended, [n, rows, columns, side, side, channels])
        x = tf.transpose(x, [0, 1, 3, 2, 4, 5])
        x = tf.reshape(x, [n, rows * side, columns * side, channels])
        if self.shift:
            x = tf.roll(x, shift, axis=[1, 2])
        return x[:, :height, :width]

    def _same_region(
        self,
        height: tf.Tensor,
        width: tf.Tensor,
        rows: tf.Tensor,
        columns: tf.Tensor,
        shift: tf.Tensor,
    ) -> tf.Tensor:
        """Bool [windows, tokens, tokens]: pairs that were neighbours before roll and padding."""

        def regions(real: tf.Tensor, count: tf.Tensor, offset: tf.Tensor) -> tf.Tensor:
            size = count * self.window
            position = tf.range(size)
            rolled = tf.roll(position, -offset, axis=0)
            wrapped = tf.cast(rolled < position, tf.int32)
            return tf.where(rolled < real, wrapped, 2)

        down = regions(height, rows, shift[0])
        across = regions(width, columns, shift[1])
        region = 3 * down[:, tf.newaxis] + across[tf.newaxis, :]
        region = tf.where((down[:, tf.newaxis] == 2) | (across[tf.newaxis, :] == 2), 8, region)
        region = tf.reshape(region, [rows, self.window, columns, self.window])
        region = tf.reshape(
            tf.transpose(region, [0, 2, 1, 3]), [rows * columns, self.window * self.window]
        )
        return region[:, :, tf.newaxis] == region[:, tf.newaxis, :]

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "window": self.window,
            "shift": self.shift,
            "expansion": self.expansion,
            "gradient_checkpointing": self.gradient_checkpointing,
        }


def _relative_offsets(window: int) -> np.ndarray:
    """[tokens, tokens]: row of the bias table for each pair of positions in a window."""
    position = np.stack(np.meshgrid(np.arange(window), np.arange(window), indexing="ij"), -1)
    position = position.reshape(-1, 2)
    difference = position[:, None] - position[None, :] + window - 1
    return difference[..., 0] * (2 * window - 1) + difference[..., 1]
