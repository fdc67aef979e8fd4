"""The registry of image encoders."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tf_keras as keras

from tfrec_vis.encoders.efficientnet_lite0 import efficientnet_lite0
from tfrec_vis.encoders.library_backbone import (
    APPLICATIONS,
    LibraryBackbone,
    backbone_names,
    library_encoder,
    refusal,
)
from tfrec_vis.encoders.mobilenet_v3_small import mobilenet_v3_small
from tfrec_vis.encoders.resnet_18 import resnet_18
from tfrec_vis.encoders.swin import swin_micro, swin_mini, swin_small, swin_tiny
from tfrec_vis.encoders.weights_error import WeightsError

_ENCODERS: dict[str, tuple[Callable[..., keras.Model], tuple[str, ...]]] = {
    "efficientnet_lite0": (efficientnet_lite0, ("imagenet",)),
    "mobilenet_v3_small": (mobilenet_v3_small, ()),
    "resnet_18": (resnet_18, ()),
    "swin_micro": (swin_micro, ()),
    "swin_mini": (swin_mini, ()),
    "swin_small": (swin_small, ()),
    "swin_tiny": (swin_tiny, ()),
}


def names() -> list[str]:
    """Names of the encoders that ``get`` knows; those of other libraries are ``LIBRARY:NAME``."""
    return sorted(_ENCODERS) + sorted(backbone_names())


def weight_sets(name: str) -> tuple[str, ...]:
    """Names of the trained weights that an encoder comes with, besides random ones."""
    return _entry(name)[1]


def get(
    name: str,
    weights: str | Path | None = None,
    freeze_bn: bool | None = None,
    **arguments: Any,
) -> keras.Model:
    """Builds an image encoder.

    Every encoder maps pictures [n, h, w, 3] (uint8, or floats in 0..255, RGB) to float32
    features [n, d], does its own preprocessing, and pools once, over all positions. Any h and w
    of at least 32 are accepted (75 by the Inceptions, 71 by Xception of tf_keras.applications).

    Args:
        name: one of ``names()``.
        weights: None for random ones, ``"imagenet"`` where ``weight_sets(name)`` has it (those
            of tf_keras.applications are downloaded), or a path of a Keras weights file of this
            encoder (``.weights.h5``).
        freeze_bn: run batch normalisation on its trained statistics, and leave its scale and
            offset as they are. Default: True where ``weights`` are given.
        arguments: the encoder's own settings: ``gradient_checkpointing=True`` for Swins, those
            of the function or class for encoders of other libraries.

    Returns:
        A Keras model.

    Raises:
        ValueError: unknown name or arguments.
        WeightsError: unknown weights, or a file that is not this encoder's; a ValueError.

    >>> import numpy as np
    >>> encoder = get("swin_micro", gradient_checkpointing=True)
    >>> encoder(np.zeros([2, 40, 32, 3], np.uint8)).shape
    TensorShape([2, 192])
    """
    build, known_weights = _entry(name)
    named = weights if isinstance(weights, str) and weights in known_weights else None
    if weights is not None and named is None:
        _check_file(name, weights, known_weights)
    chosen = {"weights": named} if known_weights else {}
    try:
        inspect.signature(build).bind(**chosen, **arguments)
    except TypeError as error:
        raise ValueError(f"encoder {name!r}: {error}") from error
    encoder = build(**chosen, **arguments)
    if weights is not None and named is None:
        _load(encoder, name, weights)
    if weights is not None if freeze_bn is None else freeze_bn:
        for layer in encoder.submodules:
            if isinstance(layer, LibraryBackbone):
                layer.freeze_batch_norm()
            elif isinstance(layer, keras.layers.BatchNormalization):
                layer.trainable = False
    return encoder


def _entry(name: str) -> tuple[Callable[..., keras.Model], tuple[str, ...]]:
    if name in _ENCODERS:
        return _ENCODERS[name]
    if name in backbone_names():

        def build(weights: str | None = None, **arguments: Any) -> keras.Model:
            return library_encoder(name, weights, arguments)

        return build, ("imagenet",) if name.startswith(f"{APPLICATIONS}:") else ()
    if reason := refusal(name):
        raise ValueError(f"{name!r} cannot be an encoder: {reason}")
    # The library's name, the longer part of some, is no likeness.
    library = name[: name.find(":") + 1]
    same = [known.removeprefix(library) for known in names() if known.startswith(library)]
    near = difflib.get_close_matches(name.removeprefix(library), same, n=1)
    known = ", ".join([*sorted(_ENCODERS), "keras_applications:NAME", "keras_cv:NAME"])
    hint = (
        f"; did you mean {library + near[0]!r}?" if near else f"; known: {known} (docs/encoders.md)"
    )
    raise ValueError(f"unknown encoder {name!r}{hint}")


def _check_file(name: str, weights: str | Path, known_weights: tuple[str, ...]) -> None:
    if not Path(weights).is_file():
        known = ", ".join(map(repr, known_weights)) or "none by name"
        what = "file" if Path(weights).suffix else "weights"
        raise WeightsError(
            f"no {what} {str(weights)!r} for encoder {name!r}: known {known}, or a file"
        )
    if not str(weights).endswith(".weights.h5"):
        raise WeightsError(
            f"{weights}: expected a Keras weights file, .weights.h5; "
            "tfrec-vis convert-weights makes one of a PyTorch file of a Swin"
        )


def _load(encoder: keras.Model, name: str, weights: str | Path) -> None:
    try:
        encoder.load_weights(str(weights))
    except (KeyError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise WeightsError(f"{weights}: not weights of encoder {name!r}: {reason}") from error
