"""tfrec-vis: visual recommendation for TensorFlow and Keras.

The rooms are imported on first use (``import tfrec_vis as tv; tv.layers...``), so that
``import tfrec_vis`` itself is quick and imports no TensorFlow. It does decide which Keras
``tf.keras`` is: tf_keras (Keras 2), which TensorFlow Recommenders needs.
"""

from __future__ import annotations

import importlib
from types import ModuleType

from tfrec_vis._keras_version import select_tf_keras

__version__ = "0.1.0"

_ROOMS = (
    "sources",
    "simulation",
    "prepare",
    "data",
    "encoders",
    "layers",
    "losses",
    "pretraining",
    "embeddings",
    "ranking",
    "metrics",
    "evaluation",
    "serving",
    "recipes",
    "workflow",
    "tfx_components",
)
# Kubeflow looks for an artifact's class by its type's name, which is that of a top-level package
# and the class.
_ARTIFACTS = (
    "PreparedData",
    "PretrainedEncoders",
    "Embeddings",
    "RankingExperiment",
    "RankingReport",
    "PublishedModels",
)

select_tf_keras()


def __getattr__(name: str) -> ModuleType | type:
    if name in _ROOMS:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _ARTIFACTS:
        return getattr(importlib.import_module(f"{__name__}.tfx_components.artifacts"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_ROOMS])
