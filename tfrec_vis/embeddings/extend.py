"""Vectors for items that were added to the catalogue."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfrec_vis.data import read_items
from tfrec_vis.embeddings.embed import check_finite, described, normalise
from tfrec_vis.embeddings.kmeans import assign_clusters
from tfrec_vis.embeddings.semantic_ids import assign_codes
from tfrec_vis.embeddings.store import Embeddings
from tfrec_vis.errors import InputError


def check_grown(metadata: Mapping[str, Any], prepared: str | Path) -> None:
    """Checks that data are those of embeddings with something added, by their metadata.

    Centre, centroids and the encoder know what was before the cuts they were fitted with. Where a
    cut is earlier now, they know what is judged, and the data are refused; cuts that were moved
    on leave them merely older than they could be.

    Args:
        metadata: of the embeddings.
        prepared: the data after ``prepare --append``.

    Raises:
        InputError: other data, whose pictures may be others, or cuts were moved back.
    """
    manifest = (Path(prepared) / "manifest.json").read_bytes()
    facts = json.loads(manifest)
    known = [hashlib.sha256(manifest).hexdigest(), *facts.get("appended_to", [])]
    if metadata.get("data_manifest_sha256") not in known:
        raise InputError(
            f"{prepared}: prepared anew since the embeddings were made, not with "
            "`prepare --append`, so that old vectors may be of other pictures; embed all items, "
            "without --only-new"
        )
    before, now = metadata.get("cuts"), facts["cuts"]
    if before is None or any(cut < fitted for cut, fitted in zip(now, before, strict=True)):
        raise InputError(
            f"{prepared}: cuts were moved back since the embeddings were made (from {before} to "
            f"{now}), so that encoder, centre and clusters were fitted on what is now judged; "
            "train anew (run --force pretrain)"
        )


def new_items(embeddings: Embeddings, prepared: str | Path) -> np.ndarray:
    """The ``item_index`` of items without a vector: int64 [new], rising.

    Args:
        embeddings: of the data before something was added to them.
        prepared: the data after ``prepare --append``.

    Raises:
        InputError: as ``check_grown``.
    """
    check_grown(embeddings.metadata, prepared)
    there = set(embeddings.item_id)
    item_id = read_items(prepared, pictures=False).item_id
    return np.array([i for i, item in enumerate(item_id) if i and item not in there], np.int64)


def extend(
    embeddings: Embeddings, item_index: np.ndarray, features: np.ndarray, prepared: str | Path
) -> Embeddings:
    """Adds items; centre, centroids, codebooks and the vectors that are there stay as they are.

    Args:
        embeddings: what is there.
        item_index: int [new], as ``new_items`` gives it.
        features: float32 [new, d], of the same encoder.
        prepared: the data that hold the new items.
    """
    item_id = read_items(prepared, pictures=False).item_id[item_index]
    vectors = np.empty(features.shape, np.float32)
    normalise(features, embeddings.centre, vectors, item_id)
    return _with(embeddings, item_id, vectors, prepared)


def extend_by_vectors(
    embeddings: Embeddings, item_index: np.ndarray, vectors: np.ndarray, prepared: str | Path
) -> Embeddings:
    """``extend`` with what an exported encoder gives: vectors centred and normalised.

    Args:
        embeddings: what is there.
        item_index: int [new], as ``new_items`` gives it.
        vectors: float32 [new, d], of the same encoder and centre.
        prepared: the data that hold the new items.
    """
    item_id = read_items(prepared, pictures=False).item_id[item_index]
    check_finite(vectors, item_id)
    return _with(embeddings, item_id, vectors, prepared)


def _with(
    embeddings: Embeddings, item_id: np.ndarray, vectors: np.ndarray, prepared: str | Path
) -> Embeddings:
    semantic_id = embeddings.semantic_id
    if semantic_id is not None and embeddings.codebooks is not None:
        semantic_id = np.concatenate([semantic_id, assign_codes(vectors, embeddings.codebooks)])
    clusters = assign_clusters(vectors, embeddings.centroids)
    extended = Embeddings(
        item_id=np.concatenate([embeddings.item_id, item_id]),
        embedding=np.concatenate([embeddings.embedding, vectors]),
        cluster_id=np.concatenate([embeddings.cluster_id, clusters]),
        centroids=embeddings.centroids,
        centre=embeddings.centre,
        metadata=embeddings.metadata,
        semantic_id=semantic_id,
        codebooks=embeddings.codebooks,
    )
    return described(extended, (Path(prepared) / "manifest.json").read_bytes())
