"""Which cells an experiment trains: those that some comparison reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tfrec_vis.evaluation.cells import Cell, CellRunner
from tfrec_vis.evaluation.settings import EvaluateSettings
from tfrec_vis.evaluation.vectors import Vectors

Embeddings = Mapping[str, Sequence[Vectors]]
"""Embeddings by name, one of each pre-training; exactly one has the role "courier"."""


@dataclass(frozen=True)
class Trained:
    """The cells of an experiment.

    Attributes:
        cells: in the order of the report.
        best: each embedding's best feature, by the main ranker and protocol on validation rows.
        primary: the recipe's method in its best feature.
        controls: the same with the embeddings of other items, by protocol; the main one first.
        best_other: the baseline and feature that reach most on validation rows under the main
            ranker, by protocol; without one where nothing else is compared.
    """

    cells: list[Cell]
    best: dict[str, str]
    primary: Cell
    controls: dict[str, Cell]
    best_other: dict[str, Cell]

    @property
    def confirmatory(self) -> list[tuple[Cell, Cell]]:
        """What the experiment is for: by protocol, primary against no image and best_other."""
        pairs = []
        for protocol in self.controls:
            cell = self.primary_in(protocol)
            pairs.append((cell, self.base(cell)))
            if protocol in self.best_other:
                pairs.append((cell, self.best_other[protocol]))
        return pairs

    def primary_in(self, protocol: str) -> Cell:
        """The primary embedding, feature and ranker under a protocol."""
        wanted = (self.primary.name, self.primary.ranker, protocol)
        return next(c for c in self.cells if (c.name, c.ranker, c.protocol) == wanted)

    def base(self, cell: Cell) -> Cell:
        """The model without image that a cell is compared with."""
        return next(
            c
            for c in self.cells
            if (c.embedding, c.ranker, c.protocol) == ("none", cell.ranker, cell.protocol)
        )


def train_cells(runner: CellRunner, embeddings: Embeddings, settings: EvaluateSettings) -> Trained:
    """Trains what is compared.

    The main ranker and the first protocol: every embedding in every feature, from which each
    embedding's best feature is chosen on validation rows. Further protocols and rankers: every
    embedding in its own best feature and in that of the recipe's method, and the method itself in
    every feature under each protocol of the main ranker.
    """
    main_ranker, main_protocol = settings.ranker, settings.protocols[0]
    features = [f for f in settings.features if f != "none"]
    cells = [runner.run((), "none", main_ranker, main_protocol)]
    for group in embeddings.values():
        cells += [runner.run(group, f, main_ranker, main_protocol) for f in features]
    best = {
        name: max((c for c in cells if c.embedding == name), key=lambda c: c.reached).feature
        for name in embeddings
    }
    method = next(name for name, group in embeddings.items() if group[0].role == "courier")
    primary = next(c for c in cells if (c.embedding, c.feature) == (method, best[method]))
    for ranker in (main_ranker, *settings.rankers):
        for protocol in settings.protocols:
            if (ranker, protocol) == (main_ranker, main_protocol):
                continue
            cells.append(runner.run((), "none", ranker, protocol))
            for name, group in embeddings.items():
                wanted = {best[name], best[method]}
                if name == method and ranker == main_ranker:
                    wanted = set(features)
                cells += [runner.run(group, f, ranker, protocol) for f in features if f in wanted]
    controls = {
        protocol: runner.run(
            embeddings[method], primary.feature, main_ranker, protocol, shuffled=True
        )
        for protocol in settings.protocols
    }
    best_other: dict[str, Cell] = {}
    for cell in cells:
        if (cell.role, cell.ranker) == ("baseline", main_ranker):
            before = best_other.get(cell.protocol)
            if before is None or cell.reached > before.reached:
                best_other[cell.protocol] = cell
    return Trained(cells, best, primary, controls, best_other)
