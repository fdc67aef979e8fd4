"""The gate: a new ranker against the published one, on the same rows."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfrec_vis.data import Impressions, read_impressions, read_items, read_manifest
from tfrec_vis.errors import NotPublished
from tfrec_vis.metrics import auc

_HISTORY = 50
"""Clicks sent with a request; exported rankers read the newest of them."""
_BATCH = 1024
_OFF = "to publish without the comparison: --set export.max_auc_drop=null"


def validate_ranker(
    candidate: Path,
    current: Path | None,
    prepared: Path,
    *,
    max_auc_drop: float,
    split: str = "test",
) -> dict[str, Any]:
    """Compares the exact AUC of two exported rankers on the rows of a split.

        blessed = AUC(candidate) >= AUC(current) - max_auc_drop

    Both are sent the same requests: what a client would send for these rows. Where there is
    nothing published yet, every candidate that gives finite scores is blessed.

    Args:
        candidate: a SavedModel that ``export_ranker`` wrote.
        current: the published version, or None.
        prepared: folder that ``prepare`` wrote.
        max_auc_drop: by how much the AUC may fall, 0.01 being one point.
        split: the rows.

    Returns:
        {"auc", "current_auc", "difference", "rows", "blessed"}; what is not defined is None.

    Raises:
        NotPublished: the AUC falls by more; a score is not finite; or the two cannot be compared:
            the published one does not load, wants inputs that the rows do not have, or fails on
            them, or the rows are all clicked or all un-clicked.
    """
    manifest = read_manifest(prepared)
    rows = read_impressions(prepared, split, min(_HISTORY, manifest["settings"]["max_history"]))
    item_id = read_items(prepared, pictures=False).item_id
    requests = requests_of(rows, item_id)
    found = {"auc": _auc(rows, _replay(candidate, requests, "the new ranker")), "rows": len(rows)}
    found |= {"current_auc": None, "difference": None, "blessed": True}
    if current is None:
        return found
    name = f"the published {current.parent.name}/{current.name}"
    try:
        before = _auc(rows, _replay(current, requests, name))
    except NotPublished as error:
        raise NotPublished(
            f"{error}; so the new ranker cannot be compared with it: roll back to a version that "
            f"can be, or {_OFF}"
        ) from error
    if found["auc"] is None or before is None:
        raise NotPublished(
            f"{prepared}: the {split} rows are all clicked or all un-clicked, so the new ranker "
            f"cannot be compared with {name}; prepare more rows, or {_OFF}"
        )
    difference = found["auc"] - before
    found |= {"current_auc": before, "difference": difference}
    if difference < -max_auc_drop:
        raise NotPublished(
            f"the new ranker's AUC on {len(rows)} {split} rows is {found['auc']:.4f}, that of "
            f"{name} {before:.4f}: it falls by {-difference:.4f}, at most {max_auc_drop:g} is "
            f"accepted (export.max_auc_drop); {_OFF}"
        )
    return found


def requests_of(rows: Impressions, item_id: np.ndarray) -> dict[str, np.ndarray]:
    """What a client sends for impressions: inputs of an exported ranker by name.

    Args:
        rows: the impressions.
        item_id: text [items + 1], the id of each item_index, "" for none.

    Returns:
        user_id, item_id, each context feature object [n], timestamp int64 [n], history_item_id
        object [n, L].
    """
    return {
        "user_id": rows.user_id,
        "item_id": item_id[rows.item_index],
        "history_item_id": item_id[rows.history],
        "timestamp": rows.timestamp,
        **rows.context,
    }


def _auc(rows: Impressions, scores: np.ndarray) -> float | None:
    value = auc(rows.clicked, scores)
    return None if math.isnan(value) else value


def _replay(model: Path, requests: dict[str, np.ndarray], name: str) -> np.ndarray:
    """Scores [n] of an export."""
    try:
        loaded = tf.saved_model.load(str(model))
        call = loaded.signatures["serving_default"]
    except Exception as error:  # whatever a damaged folder makes TensorFlow raise
        raise NotPublished(f"{name} cannot be loaded ({_line(error)})") from error
    specs = call.structured_input_signature[1]
    if missing := sorted(specs.keys() - requests.keys()):
        raise NotPublished(
            f"{name} reads {', '.join(missing)}, which the prepared rows do not have"
        )
    rows = len(requests["timestamp"])
    scores = []
    for first in range(0, rows, _BATCH):
        inputs = {
            n: tf.constant(requests[n][first : first + _BATCH].tolist(), spec.dtype)
            for n, spec in specs.items()
        }
        try:
            scores.append(call(**inputs)["ctr"].numpy())
        except Exception as error:
            raise NotPublished(f"{name} fails on the prepared rows ({_line(error)})") from error
    result = np.concatenate([*scores, np.zeros(0, np.float32)])
    if not np.all(np.isfinite(result)):
        raise NotPublished(f"{name} gives scores that are not finite numbers")
    return result


def _line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
