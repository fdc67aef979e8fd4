"""What popularity alone tells of the labels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from tfrec_vis.evaluation.rows import Rows
from tfrec_vis.evaluation.settings import EvaluateSettings
from tfrec_vis.metrics import auc, paired_bootstrap
from tfrec_vis.metrics.bootstrap import Comparison
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
    that the sampling gives the label away: an item drawn from past clicks has a recent one, while
    the clicked item's own click is hidden.

    The same trees on frozen statistics show how much of it the last days tell. Test rows have the
    statistics of the second cut, where training ends; training rows those of as long before them
    as the cut is before the median test row. Clicks that un-clicked items were drawn from are not
    in them (unless they are drawn from further back than that).

    Args:
        rows: the data.
        settings: ``train_on: after_pretrain`` leaves the rows of pre-training out; ``replicates``
            of the bootstrap.

    Returns:
        {"auc", "auc_ci95", "auc_item_new", "auc_frozen", "difference", "ci95", "features",
        "sampled"}: on the test rows, with the 95 % interval over users, and on those of them on
        items that nobody clicked in training; on frozen statistics; dated minus frozen, with its
        95 % interval over users; names of the columns; whether un-clicked rows are sampled. NaN
        where undefined, as where the training rows used are of one class.
    """
    train, validation, test = (rows.split[name] for name in ("train", "validation", "test"))
    used = np.flatnonzero(
        ~train.in_pretraining if settings.train_on == "after_pretrain" else np.ones(len(train))
    )
    cut = validation.timestamp.min()
    age = int(np.median(test.timestamp)) - cut
    times = {
        "dated": (train.timestamp[used], test.timestamp),
        "frozen": (train.timestamp[used] - age, np.full(len(test), cut)),
    }
    learnt = len(np.unique(train.clicked[used])) == 2
    features: list[str] = []
    scores = {}
    for name, (train_time, test_time) in times.items():
        asked = item_statistics(rows.tables, test.item_index, test_time)
        features, scores[name] = list(asked), np.zeros(len(test))
        if learnt:
            seen = item_statistics(rows.tables, train.item_index[used], train_time)
            model = boosted_trees().fit(_matrix(seen), train.clicked[used])
            scores[name] = model.predict_proba(_matrix(asked))[:, 1]

    def against(others: np.ndarray) -> Comparison:
        return paired_bootstrap(
            test.clicked,
            test.user_id.astype(str),
            scores["dated"][np.newaxis],
            others[np.newaxis],
            replicates=settings.replicates,
        )

    chance, frozen = against(np.zeros(len(test))), against(scores["frozen"])
    new = ~test.item_seen_in_training
    figures = {
        "auc": auc(test.clicked, scores["dated"]),
        "auc_ci95": [0.5 + end for end in chance["ci95"]],
        "auc_item_new": auc(test.clicked[new], scores["dated"][new]),
        "auc_frozen": auc(test.clicked, scores["frozen"]),
        "difference": frozen["difference"],
        "ci95": frozen["ci95"],
    }
    if not learnt:
        figures = {n: [math.nan] * 2 if n.endswith("ci95") else math.nan for n in figures}
    return {**figures, "features": features, "sampled": len(rows.tables.shown_item) == 0}


def _matrix(columns: dict[str, np.ndarray]) -> np.ndarray:
    return np.stack(list(columns.values()), axis=1)
