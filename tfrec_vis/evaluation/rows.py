"""The rows an experiment trains on and is judged by."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfrec_vis.data import Impressions, read_impressions, read_items, read_manifest
from tfrec_vis.errors import InputError
from tfrec_vis.ranking import RankerTables, SimScore

_CHUNK = 4096


@dataclass(frozen=True)
class Rows:
    """Impressions of all splits, and the ranker's view of them.

    Attributes:
        split: impressions by "train", "validation", "test".
        tables: the ranker's vocabularies and tables.
        item_ids, categories: str object [items + 1].
    """

    split: dict[str, Impressions]
    tables: RankerTables
    item_ids: np.ndarray
    categories: np.ndarray

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
        return cls(split, tables, catalogue.item_id, catalogue.category)

    @cached_property
    def inputs(self) -> dict[str, dict[str, np.ndarray]]:
        """The ranker's inputs by split."""
        return {name: self.tables.inputs(rows) for name, rows in self.split.items()}

    def sim_scores(self, vectors: np.ndarray) -> dict[str, np.ndarray]:
        """``SimScore`` of every row by split: float32 [rows, history + 3].

        Args:
            vectors: float32 [items + 1, d], L2-normalised; row 0 and missing ones are zeros.
        """
        table, layer = tf.constant(vectors), SimScore()
        scores = {}
        for name, rows in self.split.items():
            parts = [
                layer(
                    tf.gather(table, rows.item_index[i : i + _CHUNK]),
                    tf.gather(table, rows.history[i : i + _CHUNK]),
                    rows.history[i : i + _CHUNK] > 0,
                ).numpy()
                for i in range(0, len(rows), _CHUNK)
            ]
            scores[name] = np.concatenate(parts)
        return scores
