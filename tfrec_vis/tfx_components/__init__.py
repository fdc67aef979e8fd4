"""TFX components: the stages of a recipe as nodes of a TFX pipeline.

Importing this room imports TFX (the ``tfx`` extra, docs/tfx.md); no other room does.
"""

from __future__ import annotations

try:
    import tfx  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"tfrec_vis.tfx_components needs TFX ({error}): install it as docs/tfx.md shows"
    ) from error

from tfrec_vis.tfx_components.artifacts import (
    Embeddings,
    PreparedData,
    PretrainedEncoders,
    PublishedModels,
    RankingExperiment,
    RankingReport,
)
from tfrec_vis.tfx_components.embed import Embed
from tfrec_vis.tfx_components.evaluate import Evaluate
from tfrec_vis.tfx_components.export import Export
from tfrec_vis.tfx_components.parameters import parameters
from tfrec_vis.tfx_components.prepare import Prepare
from tfrec_vis.tfx_components.pretrain import Pretrain
from tfrec_vis.tfx_components.publish import Publish
from tfrec_vis.tfx_components.rank import Rank
from tfrec_vis.tfx_components.requests import RankerRequests

__all__ = [
    "Embed",
    "Embeddings",
    "Evaluate",
    "Export",
    "Prepare",
    "PreparedData",
    "Pretrain",
    "PretrainedEncoders",
    "Publish",
    "PublishedModels",
    "Rank",
    "RankerRequests",
    "RankingExperiment",
    "RankingReport",
    "parameters",
]
