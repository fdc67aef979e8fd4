"""Item embeddings: computing, storing, clustering."""

from tfrec_vis.embeddings.embed import EmbedSettings, embed_features, pretraining_items
from tfrec_vis.embeddings.external import read_external
from tfrec_vis.embeddings.kmeans import assign_clusters, fit_centroids
from tfrec_vis.embeddings.neighbours import nearest, photo_vector
from tfrec_vis.embeddings.store import Embeddings

__all__ = [
    "EmbedSettings",
    "Embeddings",
    "assign_clusters",
    "embed_features",
    "fit_centroids",
    "nearest",
    "photo_vector",
    "pretraining_items",
    "read_external",
]
