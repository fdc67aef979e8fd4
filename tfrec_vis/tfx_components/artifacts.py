"""Types of what the components hand on."""

from __future__ import annotations

from tfx.types.artifact import Artifact, Property, PropertyType
from tfx.types.system_artifacts import Dataset, Metrics
from tfx.types.system_artifacts import Model as SystemModel

_INT = Property(type=PropertyType.INT)
_FLOAT = Property(type=PropertyType.FLOAT)
_STRING = Property(type=PropertyType.STRING)


class PreparedData(Artifact):
    """A prepared folder (docs/data.md): items, pages, impressions, schemas, manifest."""

    TYPE_NAME = "tfrec_vis.PreparedData"
    TYPE_ANNOTATION = Dataset
    PROPERTIES = {"item_count": _INT, "row_count": _INT}


class PretrainedEncoders(Artifact):
    """One folder a pre-training, of the name of its method, each with ``model.keras``."""

    TYPE_NAME = "tfrec_vis.PretrainedEncoders"
    TYPE_ANNOTATION = SystemModel
    PROPERTIES = {"methods": _STRING}


class Embeddings(Artifact):
    """One folder an encoder: a vector and a cluster id an item (docs/embeddings.md)."""

    TYPE_NAME = "tfrec_vis.Embeddings"
    TYPE_ANNOTATION = Dataset
    PROPERTIES = {"names": _STRING}


class RankingExperiment(Artifact):
    """The trained rankers with and without pictures, and their scores of the test rows."""

    TYPE_NAME = "tfrec_vis.RankingExperiment"
    TYPE_ANNOTATION = SystemModel
    PROPERTIES = {"ranker_count": _INT}


class RankingReport(Artifact):
    """``report.json`` and ``report.html``.

    ``auc`` is that of what was chosen on validation rows (``primary``), ``auc_without_images`` that
    of the same ranker without pictures; both on test rows, means over seeds.
    """

    TYPE_NAME = "tfrec_vis.RankingReport"
    TYPE_ANNOTATION = Metrics
    PROPERTIES = {"primary": _STRING, "auc": _FLOAT, "auc_without_images": _FLOAT}


class PublishedModels(Artifact):
    """``published.json``: where each model was published; none where the ranker was not blessed."""

    TYPE_NAME = "tfrec_vis.PublishedModels"
    PROPERTIES = {"model_count": _INT}
