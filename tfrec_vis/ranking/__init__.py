"""CTR ranking models on TFRS, and the visual features they take."""

from tfrec_vis.ranking.cluster_id_feature import ClusterIdFeature
from tfrec_vis.ranking.dcn import Dcn
from tfrec_vis.ranking.din import Din
from tfrec_vis.ranking.dlrm import Dlrm
from tfrec_vis.ranking.features import FEATURES, parse_features
from tfrec_vis.ranking.item_statistics import ItemStatistics
from tfrec_vis.ranking.model import RANKERS, Ranker
from tfrec_vis.ranking.semantic_id_feature import SemanticIdFeature
from tfrec_vis.ranking.sim_score import SimScore
from tfrec_vis.ranking.sim_tier import SimTier
from tfrec_vis.ranking.standardize import Standardize
from tfrec_vis.ranking.tables import RankerTables
from tfrec_vis.ranking.target_attention import TargetAttention
from tfrec_vis.ranking.trainer import Trainer
from tfrec_vis.ranking.vector_feature import VectorFeature
from tfrec_vis.ranking.visual_features import VisualFeatures
from tfrec_vis.ranking.visual_gate import VisualGate

__all__ = [
    "FEATURES",
    "RANKERS",
    "ClusterIdFeature",
    "Dcn",
    "Din",
    "Dlrm",
    "ItemStatistics",
    "Ranker",
    "RankerTables",
    "SemanticIdFeature",
    "SimScore",
    "SimTier",
    "Standardize",
    "TargetAttention",
    "Trainer",
    "VectorFeature",
    "VisualFeatures",
    "VisualGate",
    "parse_features",
]
