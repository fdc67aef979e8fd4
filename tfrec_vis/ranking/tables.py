"""What a ranker knows of users, items and events besides its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from tfrec_vis.data import Impressions, Items, read_items, read_manifest
from tfrec_vis.data import read_impressions as read
from tfrec_vis.errors import InputError
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
        seen_items: distinct items of the training rows, for the rarity of values that come later.
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
    seen_items: int = 0

    @classmethod
    def build(cls, prepared: str | Path, history: int, min_count: int) -> RankerTables:
        """Builds the tables: vocabularies from the training rows, events from all rows."""
        catalogue = read_items(prepared, pictures=False)
        train = read(prepared, "train", history)
        names, columns = _attributes(catalogue)
        values = np.stack([_numbered(column) for column in columns], axis=1)
        seen = np.unique(train.item_index)
        sampled = _is_sampled(prepared)
        clicks = train.item_index[train.clicked == 1]
        of_users = train.user_id[train.clicked == 1] if sampled else train.user_id
        buckets = tuple(
            _bucketed(values[clicks, a], values[:, a].max(), min_count) for a in range(len(names))
        )
        return cls(
            history=history,
            item_id=catalogue.item_id.astype(str),
            attributes=names,
            values=values,
            buckets=buckets,
            rarity=rarity(values, seen),
            user_id=_frequent(of_users, min_count),
            context={n: _frequent(v, min_count) for n, v in train.context.items()},
            seen_items=len(seen),
            **_events(prepared, sampled, {"train": train}),
        )

    def grow(self, prepared: str | Path) -> RankerTables:
        """These tables over data to which something was added, for weights that are kept.

        What the weights were fitted with stays: users, context values, and the number, bucket and
        rarity of every value. A value that came since gets the next number, bucket 0, and the
        rarity of what no item of the training rows has, log(1 + seen_items). New users and context
        values are unknown ones. Events are those of all rows there are now.

        Args:
            prepared: the data after ``prepare --append``.

        Raises:
            InputError: its first items are not those of these tables.
        """
        catalogue, rows = read_items(prepared, pictures=False), len(self.item_id)
        if catalogue.item_id[:rows].tolist() != self.item_id.tolist():
            raise InputError(
                f"{prepared}: items were removed or numbered anew since the ranker was trained, "
                "its tables cannot be kept; train anew (run --force evaluate)"
            )
        columns, values, rare, buckets = _columns(catalogue), [], [], []
        for a, name in enumerate(self.attributes):
            column, count = columns[name], len(self.buckets[a])
            numbers = dict(zip(column[:rows], self.values[:, a].tolist(), strict=True))
            new = sorted(set(column) - set(numbers))
            numbers |= {value: count + i for i, value in enumerate(new)}
            values.append(np.array([numbers[value] for value in column], np.int32))
            of_values = np.full(count + len(new), np.log1p(self.seen_items), np.float32)
            of_values[self.values[:, a]] = self.rarity[:, a]
            rare.append(of_values[values[a]])
            buckets.append(np.pad(self.buckets[a], (0, len(new))))
        return replace(
            self,
            item_id=catalogue.item_id.astype(str),
            values=np.stack(values, axis=1),
            buckets=tuple(buckets),
            rarity=np.stack(rare, axis=1),
            **_events(prepared, _is_sampled(prepared), {}),
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """All of it as arrays by name, none of objects."""
        arrays = {
            field.name: np.asarray(getattr(self, field.name))
            for field in fields(self)
            if field.name not in ("buckets", "context")
        }
        arrays |= {f"buckets/{a}": each for a, each in enumerate(self.buckets)}
        return arrays | {f"context/{name}": known for name, known in self.context.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> RankerTables:
        """The tables that ``arrays`` gave."""
        names = tuple(str(name) for name in arrays["attributes"])
        given: dict[str, Any] = {f.name: arrays[f.name] for f in fields(cls) if f.name in arrays}
        given |= {name: int(arrays[name]) for name in ("history", "seen_items")}
        given["attributes"] = names
        given["buckets"] = tuple(arrays[f"buckets/{a}"] for a in range(len(names)))
        given["context"] = {
            name.removeprefix("context/"): known
            for name, known in arrays.items()
            if name.startswith("context/")
        }
        return cls(**given)

    def inputs(self, rows: Impressions) -> dict[str, np.ndarray]:
        """The ranker's inputs for some rows, ids as numbers."""
        return {
            "user": _lookup(self.user_id, rows.user_id),
            "item": rows.item_index,
            "history": rows.history[:, : self.history],
            "timestamp": rows.timestamp,
            **{f"context_{n}": _lookup(v, rows.context[n]) for n, v in self.context.items()},
        }


def _is_sampled(prepared: str | Path) -> bool:
    """Whether un-clicked rows are sampled ones."""
    return read_manifest(prepared)["negatives"]["wanted"] > 0


def _events(prepared: str | Path, sampled: bool, known: dict[str, Impressions]) -> dict[str, Any]:
    """Clicks and shown rows of all splits, of which some may be read already."""
    splits = ("train", "validation", "test")
    rows = [known[s] if s in known else read(prepared, s, 1) for s in splits]
    item = np.concatenate([part.item_index for part in rows])
    time = np.concatenate([part.timestamp for part in rows])
    clicked = np.concatenate([part.clicked for part in rows]) == 1
    shown = np.zeros(len(item), bool) if sampled else np.ones(len(item), bool)
    return {
        "click_item": item[clicked],
        "click_time": time[clicked],
        "shown_item": item[shown],
        "shown_time": time[shown],
    }


def _columns(catalogue: Items) -> dict[str, np.ndarray]:
    return {"item_id": catalogue.item_id, "category": catalogue.category, **catalogue.features}


def _attributes(catalogue: Items) -> tuple[tuple[str, ...], list[np.ndarray]]:
    used = {n: c for n, c in _columns(catalogue).items() if len(set(c[1:])) > 1}
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
