"""Exact ranking metrics, paired tests and collapse diagnostics, in NumPy."""

from __future__ import annotations

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

__all__ = [
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
