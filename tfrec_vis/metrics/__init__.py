"""Exact ranking metrics, paired tests and collapse diagnostics, in NumPy.

``ExactMetrics``, a Keras callback, is imported on first use: the rest needs no TensorFlow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfrec_vis.metrics.auc import auc
from tfrec_vis.metrics.bootstrap import paired_bootstrap
from tfrec_vis.metrics.calibration import expected_calibration_error
from tfrec_vis.metrics.collapse import effective_rank, mean_pairwise_cosine
from tfrec_vis.metrics.delong import delong
from tfrec_vis.metrics.gauc import gauc, gauc_left_out
from tfrec_vis.metrics.holm import holm
from tfrec_vis.metrics.log_loss import log_loss
from tfrec_vis.metrics.ndcg import ndcg
from tfrec_vis.metrics.reliability import reliability
from tfrec_vis.metrics.streaming import Streaming

if TYPE_CHECKING:
    from tfrec_vis.metrics.exact_metrics import ExactMetrics

__all__ = [
    "ExactMetrics",
    "Streaming",
    "auc",
    "delong",
    "effective_rank",
    "expected_calibration_error",
    "gauc",
    "gauc_left_out",
    "holm",
    "log_loss",
    "mean_pairwise_cosine",
    "ndcg",
    "paired_bootstrap",
    "reliability",
]


def __getattr__(name: str) -> Any:
    if name == "ExactMetrics":
        from tfrec_vis.metrics.exact_metrics import ExactMetrics

        return ExactMetrics
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
