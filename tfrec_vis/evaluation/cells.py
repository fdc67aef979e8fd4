"""One embedding in one feature: trained over seeds, each training kept as it is done."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfrec_vis.evaluation.rows import Rows
from tfrec_vis.evaluation.settings import EvaluateSettings
from tfrec_vis.metrics import auc
from tfrec_vis.ranking import Trainer

Inputs = dict[str, np.ndarray]


@dataclass(frozen=True)
class Vectors:
    """An embedding as the experiment sees it, by ``item_index``.

    Attributes:
        name: "courier", "imagenet", ...
        role: "courier", "baseline" or "oracle"; "none" for no image.
        vectors: float32 [items + 1, d].
        clusters: int32 [items + 1], -1 for none.
    """

    name: str
    role: str
    vectors: np.ndarray
    clusters: np.ndarray


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
        prepared: list[tuple[Trainer, dict[str, Inputs]]] = []

        def setting() -> tuple[Trainer, dict[str, Inputs]]:
            if not prepared:
                prepared.append(self._setting(embedding, feature))
            return prepared[0]

        def trained(seed: int, train_on: str) -> dict[str, np.ndarray]:
            path = self.folder / f"{name}-{feature}-{train_on}-{seed}.npz"
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

    def _train_on(self, trained: object) -> str:
        if self.settings.train_on != "auto":
            return self.settings.train_on
        clicked = self.rows.split["validation"].clicked
        options = ["all"]
        if len(np.unique(self.rows.split["train"].clicked[self._after_pretraining()])) == 2:
            options.append("after_pretrain")
        return max(options, key=lambda o: auc(clicked, trained(0, o)["validation"]))  # type: ignore[operator]

    def _after_pretraining(self) -> np.ndarray:
        return ~self.rows.split["train"].in_pretraining

    def _setting(
        self, embedding: Vectors | None, feature: str
    ) -> tuple[Trainer, dict[str, Inputs]]:
        """A trainer, and the inputs of each split with the feature in them."""
        rows, inputs = self.rows, dict(self.rows.inputs)
        if embedding is None or feature == "sim_score":
            # The traced model holds nothing of the embedding: one serves them all.
            key: object = feature
        else:
            key = (feature, embedding.name)
        if embedding is not None and feature == "sim_score":
            scores = rows.sim_scores(embedding.vectors)
            inputs = {n: {**columns, "sim_score": scores[n]} for n, columns in inputs.items()}
        if key not in self._trainers:
            tables = rows.tables
            if embedding is not None and feature == "cluster_id":
                tables = rows.with_clusters(embedding.clusters).tables
            self._trainers[key] = Trainer(
                tables,
                feature,
                embedding.vectors if embedding is not None and feature == "vector" else None,
                self.settings.batch_size,
                self.settings.epochs,
                self.settings.learning_rate,
            )
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
