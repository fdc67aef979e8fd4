"""Keras models that pre-train image encoders on clicks, and their training run."""

from tfrec_vis.pretraining.clip import CLIP
from tfrec_vis.pretraining.courier import Courier
from tfrec_vis.pretraining.diagnostics import collapse_alarm
from tfrec_vis.pretraining.holdout import holdout_cut
from tfrec_vis.pretraining.methods import build_encoder, build_model, settings_of
from tfrec_vis.pretraining.model import PretrainingModel
from tfrec_vis.pretraining.names import ABLATIONS, METHODS, UNTRAINED
from tfrec_vis.pretraining.retrieval import IntentionRetrieval, intention_retrieval
from tfrec_vis.pretraining.settings import PretrainSettings
from tfrec_vis.pretraining.simclr import SimCLR
from tfrec_vis.pretraining.simsiam import SimSiam
from tfrec_vis.pretraining.supervised import Supervised
from tfrec_vis.pretraining.train import load, train

__all__ = [
    "ABLATIONS",
    "CLIP",
    "METHODS",
    "UNTRAINED",
    "Courier",
    "IntentionRetrieval",
    "PretrainSettings",
    "PretrainingModel",
    "SimCLR",
    "SimSiam",
    "Supervised",
    "build_encoder",
    "build_model",
    "collapse_alarm",
    "holdout_cut",
    "intention_retrieval",
    "load",
    "settings_of",
    "train",
]
