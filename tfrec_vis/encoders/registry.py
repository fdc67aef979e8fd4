"""The registry of image encoders."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path

import tf_keras as keras

from tfrec_vis.encoders.efficientnet_lite0 import efficientnet_lite0
from tfrec_vis.encoders.mobilenet_v3_small import mobilenet_v3_small
from tfrec_vis.encoders.resnet_18 import resnet_18
from tfrec_vis.encoders.swin import swin_micro, swin_tiny

_ENCODERS: dict[str, tuple[Callable[..., keras.Model], tuple[str, ...]]] = {
    "efficientnet_lite0": (efficientnet_lite0, ("imagenet",)),
    "mobilenet_v3_small": (mobilenet_v3_small, ()),
    "resnet_18": (resnet_18, ()),
    "swin_micro": (swin_micro, ()),
    "swin_tiny": (swin_tiny, ()),
}


def names() -> list[str]:
    """Names of the encoders that ``get`` knows."""
    return sorted(_ENCODERS)


def weight_sets(name: str) -> tuple[str, ...]:
    """Names of the trained weights that an encoder comes with, besides random ones."""
    return _entry(name)[1]


def get(name: str, weights: str | Path | None = None, freeze_bn: bool | None = None) -> keras.Model:
    """Builds an image encoder.

    Every encoder maps pictures [n, h, w, 3] (uint8, or floats in 0..255, RGB) to features
    [n, d], does its own preprocessing, and pools once, over all positions. Any h and w of at
    least 32 are accepted.

    Args:
        name: one of ``names()``.
        weights: None for random ones, ``"imagenet"`` where ``weight_sets(name)`` has it, or a
            path of a Keras weights file of this encoder (``.weights.h5``).
        freeze_bn: run batch normalisation on its trained statistics, and leave its scale and
            offset as they are. Default: True where ``weights`` are given.

    Returns:
        A Keras model.

    Raises:
        ValueError: unknown name or weights.
    """
    build, known_weights = _entry(name)
    named = weights if isinstance(weights, str) and weights in known_weights else None
    if weights is not None and named is None and not Path(weights).is_file():
        known = ", ".join(map(repr, known_weights)) or "none by name"
        raise ValueError(
            f"no weights {str(weights)!r} for encoder {name!r}: known {known}, or a file"
        )
    encoder = build(weights=named) if known_weights else build()
    if weights is not None and named is None:
        encoder.load_weights(str(weights))
    if weights is not None if freeze_bn is None else freeze_bn:
        for layer in encoder.submodules:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.trainable = False
    return encoder


def _entry(name: str) -> tuple[Callable[..., keras.Model], tuple[str, ...]]:
    if name not in _ENCODERS:
        near = difflib.get_close_matches(name, _ENCODERS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(names())}"
        raise ValueError(f"unknown encoder {name!r}{hint}")
    return _ENCODERS[name]
