"""Keras models that pre-train image encoders on clicks, and their training run."""

from tfrec_vis.pretraining.courier import Courier
from tfrec_vis.pretraining.settings import PretrainSettings
from tfrec_vis.pretraining.train import load, train

__all__ = ["Courier", "PretrainSettings", "load", "train"]
