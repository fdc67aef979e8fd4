"""Keras models that pre-train image encoders on clicks, and their training run."""

from tfrec_vis.pretraining.courier import Courier
from tfrec_vis.pretraining.methods import build_encoder, build_model, settings_of
from tfrec_vis.pretraining.model import PretrainingModel
from tfrec_vis.pretraining.names import ABLATIONS, METHODS, UNTRAINED
from tfrec_vis.pretraining.settings import PretrainSettings
from tfrec_vis.pretraining.train import load, train

__all__ = [
    "ABLATIONS",
    "METHODS",
    "UNTRAINED",
    "Courier",
    "PretrainSettings",
    "PretrainingModel",
    "build_encoder",
    "build_model",
    "load",
    "settings_of",
    "train",
]
