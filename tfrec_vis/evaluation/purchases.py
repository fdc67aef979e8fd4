"""Rows of a log of purchases alone, parted as offline studies part it."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from tfrec_vis.data import Impressions
from tfrec_vis.errors import InputError
from tfrec_vis.evaluation.rows import Rows
from tfrec_vis.prepare.history import ClickHistory
from tfrec_vis.prepare.negatives import ClickPool, sample_negatives
from tfrec_vis.prepare.validate import Row


def purchase_rows(
    rows: Rows, last: float = 0.2, negatives: int = 4, window_days: float = 3, seed: int = 0
) -> dict[str, Impressions]:
    """Every user's first purchase of each item, and un-bought items beside it.

    A repeated purchase of an item is left out, and so are purchases before which the user has no
    history. The last fifth in time of the others, from a day's beginning on, is the test. Un-bought
    items are sampled as ``prepare`` does: from what others buy for the first time from then on,
    within the window, ending before the test's beginning.

    Args:
        rows: prepared rows, whose clicks are the log.
        last: share of the purchases that is the test.
        negatives: un-bought items per purchase.
        window_days: that they are sampled from.
        seed: of the sampling.

    Returns:
        "train" and "test". ``item_seen_in_training``: bought by anyone before the test.

    Raises:
        InputError: nobody bought a second time.
    """
    events = {
        (int(time), str(user), str(rows.item_ids[item]))
        for split in rows.split.values()
        for time, user, item, clicked in zip(
            split.timestamp, split.user_id, split.item_index, split.clicked, strict=True
        )
        if clicked
    }
    bought: dict[str, dict[str, Row]] = defaultdict(dict)
    for time, user, item in sorted(events):
        bought[user].setdefault(item, Row(time, f"{user}@{time}", item, 1))
    purchases = {user: list(first.values()) for user, first in bought.items()}
    later = sorted(
        row.timestamp
        for own in purchases.values()
        for row in own
        if row.timestamp > own[0].timestamp
    )
    if not later:
        raise InputError("boosted trees: nobody bought at two times; there is nothing to predict")
    cut = later[int(np.ceil((1 - last) * len(later))) - 1] + 1
    clicks = sorted(
        (row.timestamp, row.item_id, user) for user, own in purchases.items() for row in own
    )
    pool = ClickPool([(len(clicks), clicks)])
    early = {item for time, item, _ in clicks if time < cut}

    found: dict[str, list[tuple[str, Row, list[str]]]] = {"train": [], "test": []}
    for user, own in purchases.items():
        sampled = sample_negatives(
            user, own, pool, [cut], seed=seed, negatives=negatives, window_days=window_days
        )
        history = ClickHistory(own)
        for row in sorted([*own, *sampled]):
            if row.timestamp > own[0].timestamp:
                before = history.before(row.timestamp, {row.item_id}, rows.tables.history)
                found["test" if row.timestamp >= cut else "train"].append((user, row, before))
    return {name: _impressions(part, rows, early) for name, part in found.items()}


def _impressions(
    part: list[tuple[str, Row, list[str]]], rows: Rows, early: set[str]
) -> Impressions:
    number = {str(item): index for index, item in enumerate(rows.item_ids)}
    history = np.zeros([len(part), rows.tables.history], np.int32)
    for line, (_, _, items) in enumerate(part):
        history[line, : len(items)] = [number[item] for item in items]
    return Impressions(
        user_id=np.array([user for user, _, _ in part], object),
        page_id=np.array([row.page_id for _, row, _ in part], object),
        item_index=np.array([number[row.item_id] for _, row, _ in part], np.int32),
        clicked=np.array([row.clicked for _, row, _ in part], np.int32),
        timestamp=np.array([row.timestamp for _, row, _ in part], np.int64),
        history=history,
        in_pretraining=np.zeros(len(part), bool),
        item_seen_in_training=np.array([row.item_id in early for _, row, _ in part], bool),
        context={},
    )
