"""Losses over the whole batch: contrasts, and the click head's cross-entropy."""

from tfrec_vis.losses.click_cross_entropy import ClickCrossEntropy
from tfrec_vis.losses.click_sequence_contrast import ClickSequenceContrast
from tfrec_vis.losses.page_view_contrast import PageViewContrast

__all__ = ["ClickCrossEntropy", "ClickSequenceContrast", "PageViewContrast"]
