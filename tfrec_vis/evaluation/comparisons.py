"""Which cells of an experiment are compared, and comparing them."""

from __future__ import annotations

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
    pairs: Sequence[tuple[Cell, Cell]],
    confirmatory: Sequence[tuple[Cell, Cell]],
    test: Impressions,
    replicates: int,
) -> list[dict[str, Any]]:
    """Compares pairs of cells, each with its ``family`` and ``p_holm``.

    ``p_holm`` allows for all comparisons of the family. Those of the oracle are in none: what the
    truth could add is no claim about pictures.

    Args:
        pairs: all that is compared.
        confirmatory: those of the pairs that the experiment is for; the others are exploratory.
        test: the test rows.
        replicates: of the bootstrap.
    """
    chosen = {(id(a), id(b)) for a, b in confirmatory}
    comparisons = []
    for a, b in pairs:
        family = "confirmatory" if (id(a), id(b)) in chosen else "exploratory"
        oracle = "oracle" in (a.role, b.role)
        comparisons.append(
            {**compare(a, b, test, replicates), "family": None if oracle else family}
        )
    for family in ("confirmatory", "exploratory"):
        mine = [c for c in comparisons if c["family"] == family]
        for comparison, p in zip(mine, holm([c["p_value"] for c in mine]), strict=True):
            comparison["p_holm"] = p
    return comparisons


def compare(a: Cell, b: Cell, test: Impressions, replicates: int) -> dict[str, Any]:
    """The difference of two cells in AUC on the test rows, in no ``family``.

    The bootstrap over users, pre-trainings and seeds decides. Pre-trainings are drawn together
    where both cells have the same: two features of one embedding, or an embedding and the same
    shuffled. DeLong's test is there for reference.
    """
    result = paired_bootstrap(
        test.clicked,
        test.user_id.astype(str),
        _scores(a),
        _scores(b),
        replicates=replicates,
        seed=_BOOTSTRAP_SEED,
        same_pretrainings=_encoder(a) == _encoder(b),
    )
    return {
        "a": a.name,
        "b": b.name,
        "ranker": a.ranker,
        "protocol": a.protocol,
        "metric": "auc",
        **result,
        "p_holm": None,
        "family": None,
        "delong": _delong(a, b, test),
    }


def _scores(cell: Cell) -> np.ndarray:
    """As the bootstrap takes them: without the axis of pre-trainings where none is part of it."""
    return cell.test[0] if cell.role in ("none", "oracle") else cell.test


def _encoder(cell: Cell) -> str:
    """Whose pre-trainings a cell has: the control those of the recipe's method."""
    return "courier" if cell.role in ("courier", "control") else f"{cell.role} {cell.embedding}"


def _delong(a: Cell, b: Cell, test: Impressions) -> dict[str, Any]:
    """DeLong's test of one run against one.

    Of the runs on the first pre-trainings, that of the seed whose difference is the median of all
    seeds', of an even number the lower of the two.
    """
    runs = [delong(test.clicked, *scores) for scores in zip(a.test[0], b.test[0], strict=True)]
    runs.sort(key=lambda run: run["difference"])
    median = runs[(len(runs) - 1) // 2]
    return {name: median[name] for name in ("difference", "ci95", "p_value")}
