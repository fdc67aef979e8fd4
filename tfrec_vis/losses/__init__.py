"""Contrastive losses over the whole batch."""

from tfrec_vis.losses.click_sequence_contrast import ClickSequenceContrast
from tfrec_vis.losses.page_view_contrast import PageViewContrast

__all__ = ["ClickSequenceContrast", "PageViewContrast"]
