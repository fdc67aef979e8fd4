"""The rows an experiment trains on and is judged by."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfrec_vis.data import Impressions, read_impressions, read_items, read_manifest
from tfrec_vis.errors import InputError
from tfrec_vis.ranking import RankerTables

_CHUNK = 4096


@dataclass(frozen=True)
class Rows:
    """Impressions of all splits, and the ranker's view of them.

    Attributes:
        split: impressions by "train", "validation", "test".
        tables: the ranker's vocabularies and tables.
        item_ids, categories: str object [items + 1].
        features: declared item features by name, str object [items + 1].
    """

    split: dict[str, Impressions]
    tables: RankerTables
    item_ids: np.ndarray
    categories: np.ndarray
    features: dict[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def read(cls, prepared: str | Path, history: int, min_count: int) -> Rows:
        """Reads prepared data.

        Raises:
            InputError: the test rows are of one class, so that no AUC is defined.
        """
        longest = read_manifest(prepared)["settings"]["max_history"]
        history = min(history, longest)
        split = {
            name: read_impressions(prepared, name, history)
            for name in ("train", "validation", "test")
        }
        for name, rows in split.items():
            if len(np.unique(rows.clicked)) < 2:
                raise InputError(
                    f"{prepared}: the {name} rows are not both clicked and un-clicked "
                    f"({len(rows)} rows); give a longer log, move prepare.splits, or, where every "
                    "row of the log is a click, leave clicked out of source.interactions.columns"
                )
        catalogue = read_items(prepared, pictures=False)
        tables = RankerTables.build(prepared, history, min_count)
        return cls(split, tables, catalogue.item_id, catalogue.category, catalogue.features)

    @cached_property
    def inputs(self) -> dict[str, dict[str, np.ndarray]]:
        """The ranker's inputs by split."""
        return {name: self.tables.inputs(rows) for name, rows in self.split.items()}

    @cached_property
    def category_numbers(self) -> tuple[np.ndarray, np.ndarray]:
        """``category_numbers`` of the catalogue."""
        return category_numbers(self.categories)

    def of_categories(self, names: Sequence[str]) -> np.ndarray:
        """Which items are of some categories: bool [items + 1].

        Raises:
            InputError: a category that no item has.
        """
        check_categories(names, self.categories)
        return np.isin(self.categories.astype(str), list(names))

    def cosines(self, vectors: np.ndarray) -> dict[str, np.ndarray]:
        """Cosine of each row's item with its history by split: float32 [rows, history].

        Args:
            vectors: float32 [items + 1, d], L2-normalised; row 0 and missing ones are zeros.
        """
        table = tf.constant(vectors)
        cosines = {}
        for name, rows in self.split.items():
            parts = [
                tf.einsum(
                    "nd,nld->nl",
                    tf.gather(table, rows.item_index[i : i + _CHUNK]),
                    tf.gather(table, rows.history[i : i + _CHUNK]),
                ).numpy()
                for i in range(0, len(rows), _CHUNK)
            ]
            cosines[name] = np.concatenate(parts)
        return cosines


def check_categories(names: Sequence[str], categories: np.ndarray) -> None:
    """Raises InputError where ``evaluate.images_off`` names a category that no item has."""
    known = sorted(set(categories.astype(str)) - {""})
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = (
                f"did you mean {near[0]}?" if near else f"known: {', '.join(known[:20]) or 'none'}"
            )
            raise InputError(f"evaluate.images_off: no item is of category {name!r}; {hint}")


def category_numbers(categories: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Names of the categories, and each item's number among them.

    Args:
        categories: str object [items + 1], "" where an item has none; row 0 is no item.

    Returns:
        str [categories], sorted, "" among them where an item has none; int32 [items + 1].
    """
    names, numbers = np.unique(categories[1:].astype(str), return_inverse=True)
    return names, np.concatenate([[0], numbers]).astype(np.int32)
