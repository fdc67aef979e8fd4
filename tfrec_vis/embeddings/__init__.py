"""Item embeddings: computing, storing, clustering."""

from tfrec_vis.embeddings.balance import cluster_balance
from tfrec_vis.embeddings.embed import embed_features, pretraining_items
from tfrec_vis.embeddings.extend import extend, extend_by_vectors, new_items
from tfrec_vis.embeddings.external import read_external
from tfrec_vis.embeddings.kmeans import assign_clusters, fit_centroids
from tfrec_vis.embeddings.neighbours import nearest, photo_vector
from tfrec_vis.embeddings.semantic_ids import assign_codes, fit_codebooks
from tfrec_vis.embeddings.settings import EmbedSettings
from tfrec_vis.embeddings.store import Embeddings

__all__ = [
    "EmbedSettings",
    "Embeddings",
    "assign_clusters",
    "assign_codes",
    "cluster_balance",
    "embed_features",
    "extend",
    "extend_by_vectors",
    "fit_centroids",
    "fit_codebooks",
    "nearest",
    "new_items",
    "photo_vector",
    "pretraining_items",
    "read_external",
]
