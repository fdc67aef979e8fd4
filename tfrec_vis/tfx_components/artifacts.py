"""Types of what the components hand on.

What is said of each is a custom property, since Kubeflow and Vertex AI take no types with declared
properties of their own.
"""

from __future__ import annotations

from tfx.types.artifact import Artifact
from tfx.types.system_artifacts import Dataset, Metrics
from tfx.types.system_artifacts import Model as SystemModel


class PreparedData(Artifact):
    """A prepared folder (docs/data.md); ``items`` and ``rows`` say how many."""

    TYPE_NAME = "tfrec_vis.PreparedData"
    TYPE_ANNOTATION = Dataset


class PretrainedEncoders(Artifact):
    """One folder a pre-training, named in ``methods``, each with ``model.keras``."""

    TYPE_NAME = "tfrec_vis.PretrainedEncoders"
    TYPE_ANNOTATION = SystemModel


class Embeddings(Artifact):
    """One folder an encoder, named in ``names``: a vector and a cluster id an item."""

    TYPE_NAME = "tfrec_vis.Embeddings"
    TYPE_ANNOTATION = Dataset


class RankingExperiment(Artifact):
    """The trained rankers with and without pictures, and their scores of the test rows."""

    TYPE_NAME = "tfrec_vis.RankingExperiment"
    TYPE_ANNOTATION = SystemModel


class RankingReport(Artifact):
    """``report.json`` and ``report.html``.

    ``auc`` is that of what was chosen on validation rows (``primary``), ``auc_without_images`` that
    of the same ranker without pictures; both on test rows, means over seeds.
    """

    TYPE_NAME = "tfrec_vis.RankingReport"
    TYPE_ANNOTATION = Metrics


class PublishedModels(Artifact):
    """``published.json``: where each model was published; none where the ranker was not blessed."""

    TYPE_NAME = "tfrec_vis.PublishedModels"
