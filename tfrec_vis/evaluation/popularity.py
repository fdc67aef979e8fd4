"""What popularity alone tells of the labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from tfrec_vis.evaluation.rows import Rows
from tfrec_vis.evaluation.settings import EvaluateSettings
from tfrec_vis.metrics import auc
from tfrec_vis.ranking import ItemStatistics, RankerTables

_COLUMNS = (
    "events",
    "events in 30 days",
    "events in 7 days",
    "days since last",
    "days since first",
    "any event",
)
"""Columns of ``ItemStatistics``."""


def boosted_trees(seed: int = 0) -> HistGradientBoostingClassifier:
    """Gradient-boosted trees for the few features of a hundred thousand rows or so.

    Args:
        seed: of the binning's sample.
    """
    return HistGradientBoostingClassifier(
        learning_rate=0.05,
        max_iter=150,
        max_leaf_nodes=15,
        min_samples_leaf=100,
        l2_regularization=5.0,
        early_stopping=False,
        random_state=seed,
    )


def item_statistics(
    tables: RankerTables, item: np.ndarray, timestamp: np.ndarray
) -> dict[str, np.ndarray]:
    """The dated statistics of each row's item, as the ranker has them.

    Args:
        tables: hold the clicks, and the shown rows where they are real ones.
        item: int [rows], item_index.
        timestamp: int64 [rows], seconds.

    Returns:
        float32 [rows] by name: ``ItemStatistics`` of the clicks, and of the shown rows.
    """
    columns = {}
    events = {"clicks": (tables.click_item, tables.click_time)}
    if len(tables.shown_item):
        events["shown"] = (tables.shown_item, tables.shown_time)
    for name, (items, times) in events.items():
        layer = ItemStatistics(len(items))
        layer.set_events(items, times)
        values = layer(item, timestamp).numpy()
        columns.update({f"{name}: {c}": values[:, i] for i, c in enumerate(_COLUMNS)})
    return columns


def popularity_only(rows: Rows, settings: EvaluateSettings) -> dict[str, Any]:
    """Judges a model that sees how popular and how recent the target is, and nothing else.

    Gradient-boosted trees (scikit-learn's HistGradientBoostingClassifier) on the ranker's item
    statistics, trained on its training rows. Where un-clicked items are sampled, a high value says
    that the sampling gives the label away: an item drawn from past clicks has a recent one.

    Args:
        rows: the data.
        settings: ``train_on: after_pretrain`` leaves the rows of pre-training out.

    Returns:
        {"auc", "auc_item_new", "features"}: on the test rows and those of them on items that
        nobody clicked in training (NaN where they are of one class); names of the columns.
    """
    features = {
        name: item_statistics(rows.tables, columns["item"], columns["timestamp"])
        for name, columns in rows.inputs.items()
        if name != "validation"
    }
    train, test = rows.split["train"], rows.split["test"]
    used = np.ones(len(train), bool)
    if settings.train_on == "after_pretrain":
        used = ~train.in_pretraining
    model = boosted_trees().fit(_matrix(features["train"])[used], train.clicked[used])
    scores = model.predict_proba(_matrix(features["test"]))[:, 1]
    new = ~test.item_seen_in_training
    return {
        "auc": auc(test.clicked, scores),
        "auc_item_new": auc(test.clicked[new], scores[new]),
        "features": list(features["test"]),
    }


def _matrix(columns: dict[str, np.ndarray]) -> np.ndarray:
    return np.stack(list(columns.values()), axis=1)
