"""The rows that the primary model was furthest off on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from tfrec_vis.data import Impressions

_EPSILON = 1e-7


def score_columns(names: list[str], primary: Mapping[str, str]) -> list[str]:
    """The columns of ``predictions.parquet`` that hold the primary model's runs.

    Args:
        names: all columns; those of scores begin with EMBEDDING/FEATURE/RANKER/PROTOCOL/.
        primary: the report's ``primary``.
    """
    wanted = [primary[key] for key in ("embedding", "feature", "ranker", "protocol")]
    return [name for name in names if name.split("/")[:4] == wanted]


def mean_scores(predictions: str | Path, primary: Mapping[str, str]) -> np.ndarray | None:
    """The primary model's score of each test row, mean over its runs: float64 [rows].

    Args:
        predictions: ``predictions.parquet``.
        primary: the report's ``primary``.

    Returns:
        In the order of row_id, that is of ``read_impressions(..., "test")``; None where the
        file has no scores of the primary model.
    """
    columns = score_columns(pq.read_schema(predictions).names, primary)
    if not columns:
        return None
    table = pd.read_parquet(predictions, columns=["row_id", *columns]).sort_values("row_id")
    return table[columns].to_numpy(np.float64).mean(axis=1)


def worst_rows(test: Impressions, scores: np.ndarray, each: int = 4) -> list[tuple[int, float]]:
    """The clicked rows with the largest losses, then the un-clicked ones.

    loss = -log(score) for a clicked row, -log(1 - score) otherwise. Of the rows of one item, and
    of one user, the worst is taken alone, so that what is shown differs.

    Args:
        test: the rows.
        scores: float [rows], predicted click probabilities.
        each: how many of each kind.

    Returns:
        (row, loss), of each kind the largest loss first.
    """
    right = np.where(test.clicked == 1, scores, 1 - scores)
    losses = -np.log(np.clip(right, _EPSILON, 1))
    order = np.argsort(-losses, kind="stable")
    found: list[tuple[int, float]] = []
    for label in (1, 0):
        items: set[int] = set()
        users: set[str] = set()
        for row in order[test.clicked[order] == label]:
            item, user = int(test.item_index[row]), str(test.user_id[row])
            if item not in items and user not in users:
                items.add(item)
                users.add(user)
                found.append((int(row), float(losses[row])))
            if len(items) == each:
                break
    return found
