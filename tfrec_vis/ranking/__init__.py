"""CTR ranking models on TFRS, and the visual features they take."""

from tfrec_vis.ranking.item_statistics import ItemStatistics
from tfrec_vis.ranking.model import FEATURES, Ranker
from tfrec_vis.ranking.standardize import Standardize
from tfrec_vis.ranking.tables import RankerTables
from tfrec_vis.ranking.target_attention import TargetAttention
from tfrec_vis.ranking.trainer import Trainer
from tfrec_vis.ranking.visual_features import ProjectedVector, SimScore

__all__ = [
    "FEATURES",
    "ItemStatistics",
    "ProjectedVector",
    "Ranker",
    "RankerTables",
    "SimScore",
    "Standardize",
    "TargetAttention",
    "Trainer",
]
