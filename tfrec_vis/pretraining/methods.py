"""From the settings of a pre-training to its model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import tf_keras as keras

from tfrec_vis import encoders
from tfrec_vis.errors import InputError
from tfrec_vis.pretraining.courier import Courier
from tfrec_vis.pretraining.model import PretrainingModel
from tfrec_vis.pretraining.names import ABLATIONS, UNTRAINED
from tfrec_vis.pretraining.settings import PretrainSettings


def build_encoder(settings: PretrainSettings) -> keras.Model:
    """The encoder before pre-training, with the weights that the settings' seed gives."""
    keras.utils.set_random_seed(settings.seed)
    try:
        known = encoders.weight_sets(settings.encoder)
        weights = settings.weights if settings.weights != "random" else None
        if weights == "auto":
            weights = "imagenet" if "imagenet" in known else None
        return encoders.get(settings.encoder, weights, settings.freeze_bn)
    except ValueError as error:
        raise InputError(f"pretrain.encoder, pretrain.weights: {error}") from error


def build_model(settings: PretrainSettings) -> PretrainingModel:
    """The model of ``settings.method`` before training."""
    keras.mixed_precision.set_global_policy(settings.mixed_precision or "float32")
    try:
        return _BUILDERS[settings.method](settings, build_encoder(settings))
    finally:
        keras.mixed_precision.set_global_policy("float32")


def settings_of(name: str, settings: PretrainSettings) -> PretrainSettings:
    """The settings of one of ``settings.method`` and ``settings.compare``.

    A method replaces ``method``, an ablation what it leaves out of COURIER, "random" and
    "imagenet" the weights; all else is the same for all.
    """
    alone = replace(settings, compare=())
    if name in UNTRAINED:
        return replace(alone, weights=name)
    if name in ABLATIONS:
        return replace(alone, method="courier", **ABLATIONS[name])
    return replace(alone, method=name)


def _courier(settings: PretrainSettings, encoder: keras.Model) -> Courier:
    return Courier(
        encoder,
        settings.embedding_dim,
        settings.num_heads,
        settings.project_values,
        settings.temperature,
        settings.micro_batch,
    )


_BUILDERS: dict[str, Callable[[PretrainSettings, keras.Model], PretrainingModel]] = {
    "courier": _courier,
}
