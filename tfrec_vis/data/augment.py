"""Augmentation of the pictures of a batch."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import tensorflow as tf

Augment = Callable[..., tf.Tensor]
PRESETS = ("crop_and_color",)
_WHITE = 255


def augmentation(augment: str | Augment, image_size: int) -> Callable[..., tf.Tensor]:
    """Makes a preset or a callable into a function of (pictures, seed).

    The preset ``"crop_and_color"`` is made of keras-cv layers (imported only here, which takes
    seconds): crops of 60 to 100 % of the area with sides 3:4 to 4:3, resized, then brightness,
    contrast, saturation and hue.

    keras-cv's layers draw from generators of their own, so their pictures are others in each run.
    A callable with a parameter ``seed`` is given the batch's own seed and can be replayed.

    Args:
        augment: a preset's name, or a callable: uint8 [u, size, size, 3] -> numbers of the same
            shape in 0..255, with an optional parameter ``seed`` (int32 [2], for
            ``tf.random.stateless_…``).
        image_size: side of the pictures, pixels.

    Returns:
        (pictures uint8 [u, size, size, 3], seed int32 [2]) -> uint8 of the same shape.

    Raises:
        ValueError: an unknown preset.
    """
    apply = _preset(augment, image_size) if isinstance(augment, str) else augment
    takes_seed = _takes_seed(apply)

    def augmented(pictures: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        changed = apply(pictures, seed=seed) if takes_seed else apply(pictures)
        if changed.dtype != tf.uint8:
            changed = tf.cast(changed, tf.float32)
            changed = tf.cast(tf.round(tf.clip_by_value(changed, 0, _WHITE)), tf.uint8)
        return tf.ensure_shape(changed, [None, image_size, image_size, 3])

    return augmented


def _takes_seed(apply: Callable[..., Any]) -> bool:
    try:
        return "seed" in inspect.signature(apply).parameters
    except ValueError:  # a builtin without signature
        return False


def _preset(name: str, image_size: int) -> Augment:
    if name not in PRESETS:
        raise ValueError(f"unknown augmentation {name!r}; known: {', '.join(PRESETS)}")
    import keras_cv

    side = (0, _WHITE)
    crop = keras_cv.layers.RandomCropAndResize(
        (image_size, image_size), crop_area_factor=(0.6, 1.0), aspect_ratio_factor=(3 / 4, 4 / 3)
    )
    crop.auto_vectorize = False  # it cannot be vectorized, and would warn of each operation
    color = keras_cv.layers.RandomColorJitter(
        side,
        brightness_factor=0.2,
        contrast_factor=0.2,
        saturation_factor=(0.4, 0.6),
        hue_factor=0.05,
    )
    return lambda pictures: color(crop(pictures, training=True), training=True)
