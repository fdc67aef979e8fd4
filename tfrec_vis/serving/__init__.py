"""Serving: exports for TensorFlow Serving.

Importing this room imports no TensorFlow; what exports models brings it on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tfrec_vis.serving.infra_check import infra_check
from tfrec_vis.serving.metadata import read_export_metadata, write_export_metadata
from tfrec_vis.serving.models_config import write_models_config
from tfrec_vis.serving.publish import publish, publish_together
from tfrec_vis.serving.rollback import rollback
from tfrec_vis.serving.versions import versions

if TYPE_CHECKING:
    from tfrec_vis.serving.client import Client
    from tfrec_vis.serving.client_error import ServingError
    from tfrec_vis.serving.encoder_export import export_encoder
    from tfrec_vis.serving.examples import serialized_examples
    from tfrec_vis.serving.pictures import picture_embedder
    from tfrec_vis.serving.published_encoder import PublishedEncoder
    from tfrec_vis.serving.ranker_export import check_history, export_ranker
    from tfrec_vis.serving.ranker_state import RankerState
    from tfrec_vis.serving.similar_export import export_similar
    from tfrec_vis.serving.validate import validate_ranker
    from tfrec_vis.serving.warmup import WarmupCall, read_warmup, write_warmup

__all__ = [
    "PublishedEncoder",
    "RankerState",
    "Client",
    "ServingError",
    "WarmupCall",
    "check_history",
    "export_encoder",
    "export_ranker",
    "export_similar",
    "infra_check",
    "picture_embedder",
    "publish",
    "publish_together",
    "read_export_metadata",
    "read_warmup",
    "rollback",
    "serialized_examples",
    "validate_ranker",
    "versions",
    "write_export_metadata",
    "write_models_config",
    "write_warmup",
]

_LAZY = {
    "Client": "client",
    "PublishedEncoder": "published_encoder",
    "RankerState": "ranker_state",
    "ServingError": "client_error",
    "WarmupCall": "warmup",
    "check_history": "ranker_export",
    "export_encoder": "encoder_export",
    "export_ranker": "ranker_export",
    "export_similar": "similar_export",
    "picture_embedder": "pictures",
    "read_warmup": "warmup",
    "serialized_examples": "examples",
    "validate_ranker": "validate",
    "write_warmup": "warmup",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
