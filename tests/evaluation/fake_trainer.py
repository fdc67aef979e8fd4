"""A ranker's trainer that trains nothing: scores are as good as the test says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tfrec_vis.evaluation import Vectors
from tfrec_vis.ranking.trainer import Fit


def embedding(
    name: str, value: float, items: int, role: str = "baseline", pretrain_seed: int = 0
) -> Vectors:
    """An embedding whose vectors are all ``value``, but for row 0 and the last item's."""
    vectors = np.full([items, 2], value, np.float32)
    vectors[0] = 0
    clusters = np.where(np.arange(items) > 0, np.arange(items) % 3, -1).astype(np.int32)
    return Vectors(name, role, vectors, clusters, 3, None, 0, pretrain_seed)


class Fits(list):
    """What was trained: dictionaries with ranker, feature, value, seed, rows and start.

    Attributes:
        made: (ranker, feature, arguments) of each trainer.
        quality: how far clicked rows are above others, by (value of the vectors, feature).
    """

    def __init__(self) -> None:
        super().__init__()
        self.made: list[tuple[str, str, dict[str, Any]]] = []
        self.quality: dict[tuple[float, str], float] = {}


@contextmanager
def fake_trainers() -> Iterator[Fits]:
    """Replaces the experiment's trainers."""
    fits = Fits()

    class FakeTrainer:
        def __init__(self, tables: Any, feature: str, *, ranker: str, visual: dict, **_: Any):
            self.ranker, self.feature, self.value = ranker, feature, 0.0
            self.model = SimpleNamespace(visual=None)
            fits.made.append((ranker, feature, visual))

        def set_item_tables(self, **visual: Any) -> None:
            self.value = round(float(visual["vectors"][1, 0]), 3)

        def fit(self, train, validation, others, seed, start=None) -> Fit:
            rows = len(train[1])
            fits.append(
                {
                    "ranker": self.ranker,
                    "feature": self.feature,
                    "value": self.value,
                    "seed": seed,
                    "rows": rows,
                    "start": start,
                    "inputs": set(train[0]),
                }
            )
            random = np.random.default_rng([seed, rows, int(1000 * self.value), len(self.feature)])

            def scores(count: int, clicked: Any = 0.0) -> np.ndarray:
                better = fits.quality.get((self.value, self.feature), 0.0) * clicked
                return 1 / (1 + np.exp(-(random.normal(size=count) + better)))

            made = {"validation": scores(len(validation[1]), validation[1])}
            made |= {name: scores(len(inputs["item"])) for name, inputs in others.items()}
            return Fit(made, {"layer/kernel": np.array([seed, rows, self.value])}, 1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tfrec_vis.evaluation.cells.Trainer", FakeTrainer)
        yield fits
