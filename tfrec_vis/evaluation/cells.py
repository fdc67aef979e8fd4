"""One embedding in one feature: trained over seeds, each training kept as it is done."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

import tfrec_vis
from tfrec_vis import ranking
from tfrec_vis.errors import InputError
from tfrec_vis.evaluation.rows import Rows
from tfrec_vis.evaluation.settings import EvaluateSettings
from tfrec_vis.evaluation.vectors import Vectors
from tfrec_vis.metrics import auc
from tfrec_vis.ranking import Trainer, parse_features

Inputs = dict[str, np.ndarray]


@dataclass(frozen=True)
class Cell:
    """Scores of one embedding and feature in one ranker and protocol.

    Attributes:
        embedding, feature, ranker, protocol, role: what it is.
        train_on: the training rows used.
        pretrain_seeds: the seed of each pre-training; (0,) where nothing was pre-trained.
        test: float64 [pre-trainings, seeds, rows].
        validation: AUC of the runs on the validation rows, float64 [pre-trainings, seeds].
        epochs: that the runs' weights have seen, int [pre-trainings, seeds]; 0: no epoch was better
            than the weights that a warm start began with.
        gates: of each feature, float [runs, categories]; empty without gates.
        files: names of the runs' files: all seeds of the ranker on the first pre-training, then
            those on the next.
    """

    embedding: str
    feature: str
    ranker: str
    protocol: str
    role: str
    train_on: str
    pretrain_seeds: tuple[int, ...]
    test: np.ndarray
    validation: np.ndarray
    epochs: np.ndarray
    gates: dict[str, np.ndarray]
    files: tuple[str, ...]

    @property
    def name(self) -> str:
        """EMBEDDING/FEATURE, as comparisons name it."""
        return f"{self.embedding}/{self.feature}"

    @property
    def reached(self) -> float:
        """Mean AUC of the runs on the validation rows."""
        return float(self.validation.mean())

    @property
    def runs(self) -> list[tuple[int, int, np.ndarray]]:
        """Seed of the pre-training, seed of the ranker and test scores of each run."""
        return [
            (pretrain_seed, seed, scores)
            for pretrain_seed, training in zip(self.pretrain_seeds, self.test, strict=True)
            for seed, scores in enumerate(training)
        ]


@dataclass(frozen=True)
class _Kind:
    """What a training is of, but for its rows and seed."""

    embedding: Vectors | None
    feature: str
    ranker: str
    protocol: str


class CellRunner:
    """Runs cells; a training that is in ``folder`` already is not done again.

    The file of a training is named by what it is, by a hash of the data, and by one of all else
    that it was made from: embedding, settings and the code of the rankers. So files of other
    settings may lie beside it; those of other data, which pile up as days are added, are removed.

    Args:
        rows: the data.
        settings: the experiment's settings.
        folder: where every training's scores and weights are kept.
        identity: of the prepared data.
    """

    def __init__(self, rows: Rows, settings: EvaluateSettings, folder: Path, identity: str) -> None:
        self.rows, self.settings, self.folder = rows, settings, folder
        self._data = _digest([tfrec_vis.__version__, identity])[:8]
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.glob("*.npz"):
            if path.name.endswith(".partial.npz") or f"-{self._data}-" not in path.name:
                path.unlink()
        self._trainers: dict[object, Trainer] = {}
        self._cosines: tuple[Vectors, dict[str, np.ndarray]] | None = None
        self._done: dict[tuple[str, ...], Cell] = {}
        self._rows_chosen: dict[tuple[str, str], str] = {}

    def run(
        self,
        embeddings: Sequence[Vectors],
        feature: str,
        ranker: str,
        protocol: str,
        shuffled: bool = False,
    ) -> Cell:
        """Trains an embedding in a feature over all seeds.

        Args:
            embeddings: one of each pre-training; none: the model without image.
            feature: a name of ``parse_features``.
            ranker: one of ``RANKERS``.
            protocol: "scratch", or "warm_start": trained without images, then continued.
            shuffled: whether each seed of the ranker shuffles the embeddings over the items.
        """
        name, role = (embeddings[0].name, embeddings[0].role) if embeddings else ("none", "none")
        if shuffled:
            name, role = "shuffled", "control"
        key = (name, feature, ranker, protocol, role)
        if key in self._done:
            return self._done[key]
        each: Sequence[Vectors | None] = embeddings or [None]
        train_on = self._train_on(ranker, protocol)
        paths = []
        for embedding in each:
            for seed in range(self.settings.seeds):
                held = embedding.shuffled(seed) if embedding and shuffled else embedding
                kind = _Kind(held, feature, ranker, protocol)
                paths.append(self._trained(kind, train_on, seed))
        runs = []
        for path in paths:
            with np.load(path, allow_pickle=False) as stored:
                names = [n for n in stored.files if not n.startswith("weight/")]
                runs.append({name: stored[name] for name in names})
        clicked = self.rows.split["validation"].clicked
        shape = len(each), self.settings.seeds
        cell = Cell(
            *key,
            train_on=train_on,
            pretrain_seeds=tuple(e.pretrain_seed if e else 0 for e in each),
            test=np.stack([run["test"] for run in runs]).reshape(*shape, -1),
            validation=np.reshape([auc(clicked, run["validation"]) for run in runs], shape),
            epochs=np.reshape([run["epochs"] for run in runs], shape),
            gates={
                name.removeprefix("gate/"): np.stack([run[name] for run in runs])
                for name in runs[0]
                if name.startswith("gate/")
            },
            files=tuple(path.name for path in paths),
        )
        print(
            f"  {cell.name} ({ranker}, {protocol}): validation AUC {cell.reached:.4f} "
            f"(rows: {train_on})",
            flush=True,
        )
        self._done[key] = cell
        return cell

    def _train_on(self, ranker: str, protocol: str) -> str:
        """The training rows of all cells of a ranker and protocol, so that all have the same."""
        key = (ranker, protocol)
        if key not in self._rows_chosen:
            self._rows_chosen[key] = self._choose_rows(_Kind(None, "none", ranker, protocol))
        return self._rows_chosen[key]

    def _choose_rows(self, image_free: _Kind) -> str:
        later = self.rows.split["train"].clicked[self._after_pretraining]
        enough = len(np.unique(later)) == 2
        if self.settings.train_on == "after_pretrain" and not enough:
            raise InputError(
                "evaluate.train_on: after_pretrain finds no clicked and un-clicked rows between "
                "the first two cuts; part them in prepare.splits, or use all"
            )
        if self.settings.train_on != "auto":
            return self.settings.train_on
        clicked = self.rows.split["validation"].clicked

        def area(path: Path) -> float:
            with np.load(path, allow_pickle=False) as stored:
                return auc(clicked, stored["validation"])

        def reached(rows: str) -> float:
            seeds = range(self.settings.seeds)
            return float(np.mean([area(self._trained(image_free, rows, s)) for s in seeds]))

        return max(["all", "after_pretrain"] if enough else ["all"], key=reached)

    @cached_property
    def _after_pretraining(self) -> np.ndarray:
        return ~self.rows.split["train"].in_pretraining

    def _trained(self, kind: _Kind, train_on: str, seed: int) -> Path:
        """The file of a training, which is done if it is not there."""
        start = None
        if kind.protocol == "warm_start":
            start = self._start(kind.ranker, seed)
        path = self.folder / self._file_name(kind, train_on, seed, start)
        if not path.exists():
            self._train(path, kind, train_on, seed, start)
        return path

    def _start(self, ranker: str, seed: int) -> Path:
        """The image-free training that a warm start goes on from."""
        kind = _Kind(None, "none", ranker, "scratch")
        return self._trained(kind, self._train_on(ranker, "scratch"), seed)

    def _file_name(self, kind: _Kind, train_on: str, seed: int, start: Path | None) -> str:
        settings, embedding = self.settings, kind.embedding
        parts = parse_features(kind.feature)
        gated = settings.gates and bool(parts)
        made_from: list[Any] = [
            embedding.digest(parts) if embedding else None,
            [settings.history, settings.min_count],
            [settings.epochs, settings.batch_size, settings.learning_rate],
            gated,
            start.name if start else None,
            _code_digest(),
        ]
        names = [embedding.name, f"pretrain{embedding.pretrain_seed}"] if embedding else ["none"]
        names += [kind.feature, "gates"] if gated else [kind.feature]
        names += [kind.ranker, kind.protocol, train_on, f"seed{seed}"]
        names += [self._data, _digest(made_from)[:16]]
        return "-".join(names) + ".npz"

    def _train(self, path: Path, kind: _Kind, train_on: str, seed: int, start: Path | None) -> None:
        trainer, inputs = self._setting(kind)
        train, clicked = inputs["train"], self.rows.split["train"].clicked
        if train_on == "after_pretrain":
            chosen = self._after_pretraining
            train, clicked = {n: v[chosen] for n, v in train.items()}, clicked[chosen]
        fit = trainer.fit(
            (train, clicked),
            (inputs["validation"], self.rows.split["validation"].clicked),
            {"test": inputs["test"]},
            seed,
            start=read_weights(start) if start else None,
        )
        partial = path.with_suffix(".partial.npz")
        arrays = {"epochs": np.array(fit.epochs), **fit.scores}
        arrays |= {f"weight/{name}": w for name, w in fit.weights.items()}
        if trainer.model.visual is not None:
            arrays |= {f"gate/{name}": g for name, g in trainer.model.visual.gates().items()}
        np.savez(partial, **arrays)
        os.replace(partial, path)

    def _setting(self, kind: _Kind) -> tuple[Trainer, dict[str, Inputs]]:
        """A trainer that holds the embedding, and the inputs of each split."""
        settings, embedding = self.settings, kind.embedding
        parts, inputs = parse_features(kind.feature), self.rows.inputs
        names, numbers = self.rows.category_numbers
        visual = embedding.arguments(parts, with_cosines=True) if embedding else {}
        if embedding and settings.gates:
            visual["categories"] = len(names)
        # Tracing takes longer than training: one traced model serves every embedding of the
        # same shapes, what it holds of the embedding is set before each training.
        key = (kind.ranker, kind.feature, *map(str, visual.values()))
        if key not in self._trainers:
            self._trainers[key] = Trainer(
                self.rows.tables,
                kind.feature,
                ranker=kind.ranker,
                visual=visual,
                batch_size=settings.batch_size,
                epochs=settings.epochs,
                learning_rate=settings.learning_rate,
            )
        trainer = self._trainers[key]
        if embedding:
            trainer.set_item_tables(**embedding.tables, categories=numbers)
            if {"sim_score", "sim_tier"} & set(parts):
                cosines = self._cosines_of(embedding)
                inputs = {n: {**c, "cosines": cosines[n]} for n, c in inputs.items()}
        return trainer, inputs

    def _cosines_of(self, embedding: Vectors) -> dict[str, np.ndarray]:
        """Those of the last embedding are kept: its features come one after the other."""
        if self._cosines is None or self._cosines[0] is not embedding:
            self._cosines = (embedding, self.rows.cosines(embedding.vectors))
        return self._cosines[1]


def read_weights(path: Path) -> dict[str, np.ndarray]:
    """The weights in the file of a training, by name."""
    with np.load(path, allow_pickle=False) as stored:
        names = [name for name in stored.files if name.startswith("weight/")]
        return {name.removeprefix("weight/"): stored[name] for name in names}


@cache
def _code_digest() -> str:
    """Identity of the rankers' source files: other code, other trainings."""
    folder = Path(ranking.__file__).parent
    sources = sorted(folder.rglob("*.py"))
    return _digest([[str(p.relative_to(folder)), p.read_text(encoding="utf-8")] for p in sources])


def _digest(parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
