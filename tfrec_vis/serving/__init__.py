"""Serving: exports for TensorFlow Serving. Importing this room imports no TensorFlow."""

from __future__ import annotations

from tfrec_vis.serving.models_config import write_models_config
from tfrec_vis.serving.publish import publish
from tfrec_vis.serving.versions import versions

__all__ = ["publish", "versions", "write_models_config"]
