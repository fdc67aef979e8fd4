"""Keras layers: reconstructions, the click head, and what the losses take besides a batch."""

from tfrec_vis._replicas import gather_replicas
from tfrec_vis.layers.click_head import ClickHead
from tfrec_vis.layers.gather_positions import gather_positions
from tfrec_vis.layers.intention_reconstruction import IntentionReconstruction
from tfrec_vis.layers.learned_temperature import LearnedTemperature
from tfrec_vis.layers.mean_reconstruction import MeanReconstruction
from tfrec_vis.layers.memory_bank import MemoryBank
from tfrec_vis.layers.nearest_reconstruction import NearestReconstruction
from tfrec_vis.layers.self_attention_reconstruction import SelfAttentionReconstruction

__all__ = [
    "ClickHead",
    "IntentionReconstruction",
    "LearnedTemperature",
    "MeanReconstruction",
    "MemoryBank",
    "NearestReconstruction",
    "SelfAttentionReconstruction",
    "gather_positions",
    "gather_replicas",
]
