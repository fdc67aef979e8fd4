"""Swin transformers for images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras

from tfrec_vis.encoders.ends import features_out, pictures_in
from tfrec_vis.encoders.swin_block import SwinBlock

_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)


def swin_tiny(gradient_checkpointing: bool = False) -> keras.Model:
    """Swin-T, the paper's encoder: windows of 7, depths 2-2-6-2, 96 channels; 27.5 M parameters.

    Meant for 224 px; random weights, 768 features. ``tfrec-vis convert-weights`` converts those
    of torchvision and timm.
    """
    depths, num_heads = (2, 2, 6, 2), (3, 6, 12, 24)
    return swin("swin_tiny", 96, depths, num_heads, 7, gradient_checkpointing)


def swin_small(gradient_checkpointing: bool = False) -> keras.Model:
    """Swin-S: Swin-T with 18 blocks in the third stage; 48.8 M parameters.

    Random weights, 768 features; other weights as for Swin-T.
    """
    depths, num_heads = (2, 2, 18, 2), (3, 6, 12, 24)
    return swin("swin_small", 96, depths, num_heads, 7, gradient_checkpointing)


def swin_mini(gradient_checkpointing: bool = False) -> keras.Model:
    """Swin-T's form with a third of its channels and windows of 4, for 64 to 128 px.

    3.1 M parameters, random weights, 256 features.
    """
    return swin("swin_mini", 32, (2, 2, 6, 2), (1, 2, 4, 8), 4, gradient_checkpointing)


def swin_micro(gradient_checkpointing: bool = False) -> keras.Model:
    """A Swin for small pictures (32 to 96 px): windows of 4, depths 2-2-2, 48 channels.

    1.3 M parameters, random weights, 192 features.
    """
    return swin("swin_micro", 48, (2, 2, 2), (2, 4, 8), 4, gradient_checkpointing)


def swin(
    name: str,
    width: int,
    depths: Sequence[int],
    num_heads: Sequence[int],
    window: int,
    gradient_checkpointing: bool = False,
) -> keras.Model:
    """Builds a Swin transformer.

    Patches of 4 x 4 pixels; between stages 2 x 2 patches are merged and the width doubles;
    blocks alternate between plain and shifted windows; layer normalisation, then the mean over
    positions.

    Args:
        name: the model's name.
        width: channels of the first stage.
        depths: blocks per stage.
        num_heads: attention heads per stage.
        window: side of the attention windows, in patches.
        gradient_checkpointing: as in ``SwinBlock``.

    Returns:
        Pictures [n, h, w, 3] in 0..255, any h and w -> features [n, width * 2^(stages - 1)].

    Source: Liu et al., Swin Transformer (arXiv 2103.14030).
    """
    pictures, x = pictures_in()
    x = keras.layers.Rescaling(
        [1 / (255 * s) for s in _STD],
        [-m / s for m, s in zip(_MEAN, _STD, strict=True)],
        name="preprocessing",
    )(x)
    x = keras.layers.Conv2D(width, 4, 4, padding="same", name="patch_embedding")(x)
    x = keras.layers.LayerNormalization(epsilon=1e-5, name="patch_norm")(x)
    for stage, (depth, heads) in enumerate(zip(depths, num_heads, strict=True)):
        if stage:
            x = PatchMerging(name=f"merge_{stage}")(x)
        for block in range(depth):
            shift = window // 2 if block % 2 else 0
            x = SwinBlock(
                heads,
                window,
                shift,
                gradient_checkpointing=gradient_checkpointing,
                name=f"stage_{stage}_block_{block}",
            )(x)
    x = keras.layers.LayerNormalization(epsilon=1e-5, name="norm")(x)
    return keras.Model(pictures, features_out(x, pictures), name=name)


@keras.saving.register_keras_serializable(package="tfrec_vis")
class PatchMerging(keras.layers.Layer):
    """Merges 2 x 2 patches: [n, h, w, c] -> [n, ceil(h / 2), ceil(w / 2), 2 c].

    The four neighbours are concatenated, normalised and projected from 4 c to 2 c.
    """

    def build(self, input_shape: tf.TensorShape) -> None:
        """Creates the normalisation and the projection."""
        channels, dtype = input_shape[-1], self.dtype_policy
        four = tf.TensorShape([None, None, None, 4 * channels])
        self.norm = keras.layers.LayerNormalization(epsilon=1e-5, name="norm", dtype=dtype)
        self.norm.build(four)
        self.reduction = keras.layers.Dense(
            2 * channels, use_bias=False, name="reduction", dtype=dtype
        )
        self.reduction.build(four)
        super().build(input_shape)

    @tf.autograph.experimental.do_not_convert
    def call(self, x: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Merges; odd sides are padded with zeros first."""
        shape = tf.shape(x)
        x = tf.pad(x, [[0, 0], [0, shape[1] % 2], [0, shape[2] % 2], [0, 0]])
        corners = [x[:, i::2, j::2] for j in (0, 1) for i in (0, 1)]
        return self.reduction(self.norm(tf.concat(corners, axis=-1)))

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return super().get_config()
