"""Which cells of an experiment are compared, and comparing them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfrec_vis.data import Impressions
from tfrec_vis.evaluation.cells import Cell
from tfrec_vis.metrics import delong, holm, paired_bootstrap

_BOOTSTRAP_SEED = 0


def compared_pairs(cells: Sequence[Cell], best: Mapping[str, str]) -> list[tuple[Cell, Cell]]:
    """The pairs (a, b) of an experiment, each within one ranker and protocol.

    Everything against no image; the recipe's method against each baseline and ablation in the
    same feature, and its best feature against their best features.

    Args:
        cells: of the experiment.
        best: each embedding's best feature, chosen on validation rows.
    """
    pairs = []
    for a in cells:
        alike = [b for b in cells if (b.ranker, b.protocol) == (a.ranker, a.protocol)]
        if a.embedding != "none":
            pairs += [(a, b) for b in alike if b.embedding == "none"]
        if a.role != "courier":
            continue
        for b in alike:
            chosen = a.feature == best[a.embedding] and b.feature == best.get(b.embedding)
            if b.role in ("baseline", "ablation") and (a.feature == b.feature or chosen):
                pairs.append((a, b))
    return pairs


def compare_all(
    pairs: Sequence[tuple[Cell, Cell]], test: Impressions, replicates: int
) -> list[dict[str, Any]]:
    """Compares pairs of cells; ``p_holm`` allows for all of them together."""
    comparisons = [compare(a, b, test, replicates) for a, b in pairs]
    adjusted = holm([c["p_value"] for c in comparisons])
    return [{**c, "p_holm": p} for c, p in zip(comparisons, adjusted, strict=True)]


def compare(a: Cell, b: Cell, test: Impressions, replicates: int) -> dict[str, Any]:
    """The difference of two cells in AUC on the test rows.

    The bootstrap over users and runs decides. A run is paired with that of the same seed of the
    ranker and of the same pre-training; where the other cell has fewer pre-trainings, they are
    repeated. Runs of one pre-training are drawn together. DeLong's test, of the scores' mean
    over the runs, is there for reference.
    """
    trainings = math.lcm(a.pretrain_seeds, b.pretrain_seeds)
    result = paired_bootstrap(
        test.clicked,
        test.user_id.astype(str),
        _repeated(a, trainings),
        _repeated(b, trainings),
        replicates=replicates,
        seed=_BOOTSTRAP_SEED,
        run_groups=np.repeat(np.arange(trainings), a.seeds) if trainings > 1 else None,
    )
    reference = delong(test.clicked, a.test.mean(axis=0), b.test.mean(axis=0))
    return {
        "a": a.name,
        "b": b.name,
        "ranker": a.ranker,
        "protocol": a.protocol,
        "metric": "auc",
        **result,
        "p_holm": result["p_value"],
        "delong": {name: reference[name] for name in ("p_value", "ci95")},
    }


def _repeated(cell: Cell, trainings: int) -> np.ndarray:
    """The runs of a cell as if there were as many pre-trainings: [trainings * seeds, rows]."""
    return np.tile(cell.test, (trainings // cell.pretrain_seeds, 1))
