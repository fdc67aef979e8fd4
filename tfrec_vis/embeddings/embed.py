"""From features of all items to the embedding store."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras as keras

from tfrec_vis.data import Items, items, read_items, read_manifest
from tfrec_vis.embeddings.kmeans import assign_clusters, fit_centroids
from tfrec_vis.embeddings.store import Embeddings
from tfrec_vis.errors import InputError, check_ranges
from tfrec_vis.metrics import effective_rank, mean_pairwise_cosine

_RESERVED = ("none", "truth", "shuffled")
_DIAGNOSED = 2000
"""Items the diagnostics look at."""


@dataclass(frozen=True)
class EmbedSettings:
    """The recipe's ``embed`` section.

    Attributes:
        clusters: k of k-means.
        centre: take the mean of the pre-training items off before normalising; the same for
            every method.
        batch_size: pictures encoded at once.
        seed: of k-means.
        external: more embeddings to compare, Parquet files by name.
    """

    clusters: int = 500
    centre: bool = True
    batch_size: int = 128
    seed: int = 0
    external: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_ranges("embed", self, {"clusters": (1, 10_000_000), "batch_size": (1, 100_000)})
        for name in self.external:
            if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]*", name) or name in _RESERVED:
                raise InputError(
                    f"embed.external: {name!r} cannot be a name: use letters, digits, '_' and "
                    f"'-', and not {', '.join(_RESERVED)}"
                )


def encode_items(
    model: keras.Model, prepared: str | Path, image_size: int | None, batch_size: int
) -> np.ndarray:
    """Features of all items in the order of ``item_index`` (from 1): float32 [items, d]."""
    size = image_size or read_manifest(prepared)["settings"]["image_size"]
    encode = tf.function(
        lambda pictures: model(pictures, training=False),
        autograph=False,
        input_signature=[tf.TensorSpec([None, size, size, 3], tf.uint8)],
    )
    batches = items(prepared, size, batch_size)
    return np.concatenate([encode(b["image"]).numpy().astype(np.float32) for b in batches])


def embed_features(
    features: np.ndarray, prepared: str | Path, settings: EmbedSettings, fingerprint: str
) -> Embeddings:
    """Centres, normalises and clusters the features of all items.

        embedding = (f - centre) / |f - centre|,   cluster_id = argmin_k |embedding - c_k|

    The centre is the mean over items first seen before the first cut, the centroids are fitted
    on items first seen before the second cut: nothing later has a say in them.

    Args:
        features: float32 [items, d], in the order of ``item_index`` (from 1).
        prepared: folder that ``prepare`` wrote.
        settings: the recipe's ``embed`` section.
        fingerprint: names the encoder and its weights.
    """
    catalogue = read_items(prepared)
    cuts = read_manifest(prepared)["cuts"]
    seen = catalogue.first_seen[1:]
    centre = np.zeros(features.shape[1], np.float32)
    if settings.centre:
        centre = features[pretraining_items(catalogue, cuts[0])[1:]].mean(axis=0)
    vectors = features - centre
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    centroids = fit_centroids(
        vectors[(seen >= 0) & (seen < cuts[1])], settings.clusters, settings.seed
    )
    sample = np.random.default_rng(0).permutation(len(vectors))[:_DIAGNOSED]
    manifest = (Path(prepared) / "manifest.json").read_bytes()
    return Embeddings(
        item_id=catalogue.item_id[1:],
        embedding=vectors,
        cluster_id=assign_clusters(vectors, centroids),
        centroids=centroids,
        centre=centre,
        metadata={
            "encoder_fingerprint": fingerprint,
            "data_manifest_sha256": hashlib.sha256(manifest).hexdigest(),
            "centred": settings.centre,
            "mean_pairwise_cosine": mean_pairwise_cosine(vectors[sample]),
            "effective_rank": effective_rank(vectors[sample]),
        },
    )


def pretraining_items(catalogue: Items, first_cut: int) -> np.ndarray:
    """Bool [items + 1]: items first seen before the first cut."""
    return (catalogue.first_seen >= 0) & (catalogue.first_seen < first_cut)


def weights_fingerprint(model: keras.Model) -> str:
    """SHA-256 over a model's weights."""
    digest = hashlib.sha256()
    for weight in model.get_weights():
        digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()
