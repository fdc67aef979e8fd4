"""One embedding in one feature: trained over seeds, each training kept as it is done."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from tfrec_vis.errors import InputError
from tfrec_vis.evaluation.rows import Rows
from tfrec_vis.evaluation.settings import EvaluateSettings
from tfrec_vis.metrics import auc
from tfrec_vis.ranking import Trainer

Inputs = dict[str, np.ndarray]


def run_name(embedding: str, feature: str, train_on: str, seed: int) -> str:
    """File name of one training's scores and weights."""
    return f"{embedding}-{feature}-{train_on}-{seed}.npz"


@dataclass(frozen=True)
class Vectors:
    """An embedding as the experiment sees it, by ``item_index``.

    Attributes:
        name: "courier", "imagenet", ...
        role: "courier", "baseline" or "oracle"; "none" for no image.
        vectors: float32 [items + 1, d].
        clusters: int32 [items + 1], -1 for none.
        cluster_count: number of clusters.
    """

    name: str
    role: str
    vectors: np.ndarray
    clusters: np.ndarray
    cluster_count: int


@dataclass(frozen=True)
class Cell:
    """Scores of one embedding and feature over seeds.

    Attributes:
        embedding, feature, role: what it is.
        train_on: the training rows used.
        validation: float64 [seeds, rows].
        test: float64 [seeds, rows].
    """

    embedding: str
    feature: str
    role: str
    train_on: str
    validation: np.ndarray
    test: np.ndarray


class CellRunner:
    """Runs cells; a training that is in ``folder`` already is not done again.

    Args:
        rows: the data.
        settings: the experiment's settings.
        folder: where every training's scores and weights are kept.
    """

    def __init__(self, rows: Rows, settings: EvaluateSettings, folder: Path) -> None:
        self.rows, self.settings, self.folder = rows, settings, folder
        folder.mkdir(parents=True, exist_ok=True)
        self._trainers: dict[object, Trainer] = {}

    def run(self, embedding: Vectors | None, feature: str, seeds: int | None = None) -> Cell:
        """Trains an embedding in a feature over all seeds; None is the model without image."""
        name = embedding.name if embedding else "none"
        setting = cache(lambda: self._setting(embedding, feature))

        def trained(seed: int, train_on: str) -> dict[str, np.ndarray]:
            path = self.folder / run_name(name, feature, train_on, seed)
            if not path.exists():
                self._train(path, *setting(), seed, train_on)
            with np.load(path, allow_pickle=False) as stored:
                return {n: stored[n] for n in ("validation", "test")}

        train_on = self._train_on(trained)
        runs = [trained(seed, train_on) for seed in range(seeds or self.settings.seeds)]
        cell = Cell(
            name,
            feature,
            embedding.role if embedding else "none",
            train_on,
            np.stack([run["validation"] for run in runs]),
            np.stack([run["test"] for run in runs]),
        )
        clicked = self.rows.split["validation"].clicked
        reached = np.mean([auc(clicked, scores) for scores in cell.validation])
        print(f"  {name}/{feature}: validation AUC {reached:.4f} (rows: {train_on})", flush=True)
        return cell

    def _train_on(self, trained: Callable[[int, str], dict[str, np.ndarray]]) -> str:
        later = self.rows.split["train"].clicked[self._after_pretraining()]
        enough = len(np.unique(later)) == 2
        if self.settings.train_on == "after_pretrain" and not enough:
            raise InputError(
                "evaluate.train_on: after_pretrain finds no clicked and un-clicked rows between "
                "the first two cuts; part them in prepare.splits, or use all"
            )
        if self.settings.train_on != "auto":
            return self.settings.train_on
        clicked = self.rows.split["validation"].clicked
        options = ["all", "after_pretrain"] if enough else ["all"]
        return max(options, key=lambda o: auc(clicked, trained(0, o)["validation"]))

    def _after_pretraining(self) -> np.ndarray:
        return ~self.rows.split["train"].in_pretraining

    def _setting(
        self, embedding: Vectors | None, feature: str
    ) -> tuple[Trainer, dict[str, Inputs]]:
        """A trainer, and the inputs of each split with the feature in them."""
        rows, inputs = self.rows, dict(self.rows.inputs)
        tables, vectors = rows.tables, None
        # Tracing takes longer than training: one traced model serves every embedding of the
        # same shape, what it holds of the embedding is set before each training.
        shape: object = None
        if embedding is not None and feature == "sim_score":
            scores = rows.sim_scores(embedding.vectors)
            inputs = {n: {**columns, "sim_score": scores[n]} for n, columns in inputs.items()}
        elif embedding is not None and feature == "cluster_id":
            tables = tables.with_clusters(embedding.clusters, embedding.cluster_count)
            shape = embedding.cluster_count
        elif embedding is not None and feature == "vector":
            vectors, shape = embedding.vectors, embedding.vectors.shape[1]
        key = (feature, shape)
        if key not in self._trainers:
            self._trainers[key] = Trainer(
                tables,
                feature,
                0 if vectors is None else vectors.shape[1],
                self.settings.batch_size,
                self.settings.epochs,
                self.settings.learning_rate,
            )
        self._trainers[key].set_item_tables(tables, vectors)
        return self._trainers[key], inputs

    def _train(
        self, path: Path, trainer: Trainer, inputs: dict[str, Inputs], seed: int, train_on: str
    ) -> None:
        train, clicked = inputs["train"], self.rows.split["train"].clicked
        if train_on == "after_pretrain":
            chosen = self._after_pretraining()
            train, clicked = {n: v[chosen] for n, v in train.items()}, clicked[chosen]
        fit = trainer.fit(
            (train, clicked),
            (inputs["validation"], self.rows.split["validation"].clicked),
            {"test": inputs["test"]},
            seed,
        )
        partial = path.with_suffix(".partial.npz")
        weights = {f"weight_{i:03d}": w for i, w in enumerate(fit.weights)}
        np.savez(partial, **fit.scores, **weights)
        os.replace(partial, path)
