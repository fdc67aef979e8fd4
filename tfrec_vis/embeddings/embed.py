"""From features of all items to the embedding store."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tfrec_vis.data import Items, read_items
from tfrec_vis.embeddings.balance import cluster_balance
from tfrec_vis.embeddings.kmeans import assign_clusters, fit_centroids, training_sample
from tfrec_vis.embeddings.semantic_ids import assign_codes, describe_codes, fit_codebooks
from tfrec_vis.embeddings.settings import EmbedSettings
from tfrec_vis.embeddings.store import Embeddings
from tfrec_vis.errors import InputError
from tfrec_vis.metrics import effective_rank, mean_pairwise_cosine

_DIAGNOSED = 2000
"""Items the diagnostics look at."""
_SLICE = 65_536
"""Vectors copied at once."""


def embed_features(
    features: np.ndarray, prepared: str | Path, settings: EmbedSettings, fingerprint: str
) -> Embeddings:
    """Centres, normalises and clusters the features of all items.

        embedding = (f - centre) / |f - centre|,   cluster_id = argmin_k |embedding - c_k|

    The centre is the mean over items first seen before the first cut, centroids and codebooks
    are fitted on items first seen before the second cut: nothing later has a say in them.

    Args:
        features: float32 [items, d], in the order of ``item_index`` (from 1).
        prepared: folder that ``prepare`` wrote.
        settings: the recipe's ``embed`` section.
        fingerprint: names the encoder and its weights.
    """
    catalogue = read_items(prepared, pictures=False)
    return embed_catalogue(
        features,
        catalogue.item_id[1:],
        catalogue.first_seen[1:],
        (Path(prepared) / "manifest.json").read_bytes(),
        settings,
        fingerprint,
        np.empty(features.shape, np.float32),
    )


def embed_catalogue(
    features: np.ndarray,
    item_id: np.ndarray,
    first_seen: np.ndarray,
    manifest: bytes,
    settings: EmbedSettings,
    fingerprint: str,
    out: np.ndarray,
) -> Embeddings:
    """``embed_features`` for a catalogue that is not read from a folder.

    Args:
        features: float32 [items, d]; may be a memory map.
        item_id: str object [items].
        first_seen: int64 [items], -1 never.
        manifest: manifest.json of the prepared data.
        settings: the recipe's ``embed`` section.
        fingerprint: names the encoder and its weights.
        out: float32 [items, d], gets the vectors; may be ``features`` itself.

    Raises:
        InputError: fewer early items than clusters or codes, or a feature that is not finite.
    """
    cuts = json.loads(manifest)["cuts"]
    centre = np.zeros(features.shape[1], np.float32)
    if settings.centre:
        centre = _mean(features, np.flatnonzero((first_seen >= 0) & (first_seen < cuts[0])))
    normalise(features, centre, out, item_id)
    early = np.flatnonzero((first_seen >= 0) & (first_seen < cuts[1]))
    fitted = out[training_sample(early, settings.clusters, settings.seed)]
    centroids = fit_centroids(fitted, settings.clusters, settings.seed)
    codebooks = semantic_id = None
    if settings.semantic_levels:
        fitted = out[training_sample(early, settings.semantic_codes, settings.seed)]
        codebooks = fit_codebooks(
            fitted, settings.semantic_levels, settings.semantic_codes, settings.seed
        )
        semantic_id = assign_codes(out, codebooks)
    metadata = {
        "encoder_fingerprint": fingerprint,
        "centred": settings.centre,
        "settings": settings.fitting,
        "cuts": cuts,
    }
    cluster_id = assign_clusters(out, centroids)
    return described(
        Embeddings(item_id, out, cluster_id, centroids, centre, metadata, semantic_id, codebooks),
        manifest,
    )


def described(embeddings: Embeddings, manifest: bytes) -> Embeddings:
    """The same with its diagnostics, and the hash of the data it is of, in the metadata."""
    vectors, codes, codebooks = embeddings.embedding, embeddings.semantic_id, embeddings.codebooks
    sample = np.random.default_rng(0).permutation(len(vectors))[:_DIAGNOSED]
    metadata: dict[str, Any] = {
        "data_manifest_sha256": hashlib.sha256(manifest).hexdigest(),
        "items": len(vectors),
        "mean_pairwise_cosine": mean_pairwise_cosine(vectors[sample]),
        "effective_rank": effective_rank(vectors[sample]),
        "balance": cluster_balance(embeddings.cluster_id, len(embeddings.centroids)),
    }
    if codes is not None and codebooks is not None:
        metadata["semantic_ids"] = describe_codes(codes, codebooks, vectors[sample], sample)
    return replace(embeddings, metadata={**embeddings.metadata, **metadata})


def normalise(
    features: np.ndarray, centre: np.ndarray, out: np.ndarray, item_id: np.ndarray
) -> None:
    """Writes (f - centre) / |f - centre| into ``out``, which may be ``features`` itself.

    Raises:
        InputError: a feature is not finite; names the first item.
    """
    for start in range(0, len(features), _SLICE):
        check_finite(features[start : start + _SLICE], item_id[start : start + _SLICE])
        vectors = features[start : start + _SLICE] - centre
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        out[start : start + _SLICE] = vectors


def check_finite(features: np.ndarray, item_id: np.ndarray) -> None:
    """Raises InputError where a feature [n, d] is not finite; names the first item."""
    finite = np.isfinite(features).all(axis=1)
    if not finite.all():
        raise InputError(
            f"item {item_id[int(np.argmin(finite))]}: the encoder gives features that are not "
            "finite numbers; the training has diverged: train again with a lower "
            "pretrain.learning_rate"
        )


def pretraining_items(catalogue: Items, first_cut: int) -> np.ndarray:
    """Bool [items + 1]: items first seen before the first cut."""
    return (catalogue.first_seen >= 0) & (catalogue.first_seen < first_cut)


def _mean(features: np.ndarray, rows: np.ndarray) -> np.ndarray:
    total = np.zeros(features.shape[1])
    for start in range(0, len(rows), _SLICE):
        total += features[rows[start : start + _SLICE]].sum(axis=0, dtype=np.float64)
    return (total / max(len(rows), 1)).astype(np.float32)
