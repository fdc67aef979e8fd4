"""Keras layers: intention reconstruction, and gathering by position."""

from tfrec_vis.layers.gather_positions import gather_positions
from tfrec_vis.layers.intention_reconstruction import IntentionReconstruction

__all__ = ["IntentionReconstruction", "gather_positions"]
