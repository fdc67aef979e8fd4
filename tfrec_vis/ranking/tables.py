"""What a ranker knows of users, items and events besides its weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfrec_vis.data import Impressions, Items, read_items, read_manifest
from tfrec_vis.data import read_impressions as read
from tfrec_vis.ranking.attribute_overlap import rarity


@dataclass(frozen=True)
class RankerTables:
    """Vocabularies and tables, all arrays.

    A value seen fewer than ``min_count`` times in training shares bucket 0 with all such
    values and with new ones. Items' values are counted in clicks, context values in rows; users in
    rows, but in clicks where un-clicked rows are sampled ones, which say nothing of the user.

    Attributes:
        history: clicks of a history that the ranker reads.
        item_id: str [items + 1]; row 0 is "no item".
        attributes: names of the items' attributes: "item_id", "category", declared features.
        values: int32 [items + 1, attributes], exact value of each; 0 is none.
        buckets: per attribute, int32 [values + 1]: value -> bucket.
        rarity: float32 [items + 1, attributes], of each value among the items of the training rows.
        user_id: str [users]; user i of this list is number i + 1, all others are 0.
        context: per context feature, its known values (str); number i + 1, others 0.
        click_item, click_time: clicks of the whole log, for the dated item statistics.
        shown_item, shown_time: shown rows; empty where un-clicked rows are sampled ones.
    """

    history: int
    item_id: np.ndarray
    attributes: tuple[str, ...]
    values: np.ndarray
    buckets: tuple[np.ndarray, ...]
    rarity: np.ndarray
    user_id: np.ndarray
    context: dict[str, np.ndarray]
    click_item: np.ndarray
    click_time: np.ndarray
    shown_item: np.ndarray
    shown_time: np.ndarray

    @classmethod
    def build(cls, prepared: str | Path, history: int, min_count: int) -> RankerTables:
        """Builds the tables: vocabularies from the training rows, events from all rows."""
        catalogue = read_items(prepared, pictures=False)
        train = read(prepared, "train", history)
        rest = [read(prepared, split, history) for split in ("validation", "test")]
        names, columns = _attributes(catalogue)
        values = np.stack([_numbered(column) for column in columns], axis=1)
        sampled = read_manifest(prepared)["negatives"]["wanted"] > 0
        clicks = train.item_index[train.clicked == 1]
        of_users = train.user_id[train.clicked == 1] if sampled else train.user_id
        buckets = tuple(
            _bucketed(values[clicks, a], values[:, a].max(), min_count) for a in range(len(names))
        )
        everything = [train, *rest]
        item = np.concatenate([rows.item_index for rows in everything])
        time = np.concatenate([rows.timestamp for rows in everything])
        clicked = np.concatenate([rows.clicked for rows in everything]) == 1
        shown = np.zeros(len(item), bool) if sampled else np.ones(len(item), bool)
        return cls(
            history=history,
            item_id=catalogue.item_id.astype(str),
            attributes=names,
            values=values,
            buckets=buckets,
            rarity=rarity(values, np.unique(train.item_index)),
            user_id=_frequent(of_users, min_count),
            context={n: _frequent(v, min_count) for n, v in train.context.items()},
            click_item=item[clicked],
            click_time=time[clicked],
            shown_item=item[shown],
            shown_time=time[shown],
        )

    def inputs(self, rows: Impressions) -> dict[str, np.ndarray]:
        """The ranker's inputs for some rows, ids as numbers."""
        return {
            "user": _lookup(self.user_id, rows.user_id),
            "item": rows.item_index,
            "history": rows.history[:, : self.history],
            "timestamp": rows.timestamp,
            **{f"context_{n}": _lookup(v, rows.context[n]) for n, v in self.context.items()},
        }


def _attributes(catalogue: Items) -> tuple[tuple[str, ...], list[np.ndarray]]:
    columns = {"item_id": catalogue.item_id, "category": catalogue.category, **catalogue.features}
    used = {n: c for n, c in columns.items() if len(set(c[1:])) > 1}
    return tuple(used), list(used.values())


def _numbered(column: np.ndarray) -> np.ndarray:
    """Exact numbers of text values: "" is 0, the others from 1 in sorted order."""
    known = {value: i for i, value in enumerate(sorted(set(column) - {""}), start=1)}
    return np.array([known.get(value, 0) for value in column], np.int32)


def _bucketed(seen: np.ndarray, highest: int, min_count: int) -> np.ndarray:
    frequent = np.bincount(seen, minlength=highest + 1) >= min_count
    frequent[0] = False
    return np.where(frequent, np.cumsum(frequent), 0).astype(np.int32)


def _frequent(column: np.ndarray, min_count: int) -> np.ndarray:
    values, counts = np.unique(column.astype(str), return_counts=True)
    return values[counts >= min_count]


def _lookup(known: np.ndarray, values: np.ndarray) -> np.ndarray:
    number = {value: i for i, value in enumerate(known, start=1)}
    return np.array([number.get(value, 0) for value in values], np.int32)
