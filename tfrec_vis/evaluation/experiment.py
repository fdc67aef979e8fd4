"""The experiment: embeddings x features x seeds, on the same test rows."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tfrec_vis.data import Impressions, read_manifest
from tfrec_vis.errors import InputError
from tfrec_vis.evaluation.cells import Cell, CellRunner, Vectors
from tfrec_vis.evaluation.rows import Rows
from tfrec_vis.evaluation.settings import EvaluateSettings
from tfrec_vis.evaluation.truth import Truth
from tfrec_vis.metrics import (
    auc,
    expected_calibration_error,
    gauc,
    holm,
    log_loss,
    ndcg,
    paired_bootstrap,
)

_PROTOCOL = "scratch"
_CATEGORIES = 10
"""Categories that get a slice: those with the most test rows."""
_BOOTSTRAP_SEED = 0


def run_experiment(
    prepared: str | Path,
    embeddings: Sequence[Vectors],
    settings: EvaluateSettings,
    out: str | Path,
    name: str,
) -> dict[str, Any]:
    """Trains every embedding in every feature and compares them on the test rows.

    Trainings that ``out`` holds already are not done again, so an interrupted experiment goes
    on where it was.

    Args:
        prepared: folder that ``prepare`` wrote.
        embeddings: what to compare; exactly one has the role "courier".
        settings: the recipe's ``evaluate`` section.
        out: folder; gets predictions.parquet and runs/.
        name: the data set's name in the report.

    Returns:
        The report (DESIGN: "Report") without ``cost``.
    """
    out = Path(out)
    rows = Rows.read(prepared, settings.history, settings.min_count)
    runner = CellRunner(rows, settings, out / "runs")
    features = [f for f in settings.features if f != "none"]
    baseline = runner.run(None, "none")
    cells = [baseline]
    for embedding in embeddings:
        cells += [runner.run(embedding, feature) for feature in features]
    primary = _primary(cells, rows)
    shuffled = _shuffled(next(e for e in embeddings if e.role == "courier"))
    control = runner.run(shuffled, primary.feature)

    test = rows.split["test"]
    _write_predictions(out / "predictions.parquet", test, [*cells, control])
    manifest = read_manifest(prepared)
    return _without_nan(
        {
            "dataset": {
                "name": name,
                "interactions": manifest["interactions"],
                "items": manifest["items"],
            },
            "split": {
                "fractions": list(manifest["settings"]["splits"]),
                "cuts": manifest["cuts"],
                **{f"{n}_rows": len(r) for n, r in rows.split.items()},
                "test_users": len(np.unique(test.user_id)),
                "test_rows_on_new_items": int((~test.item_seen_in_training).sum()),
            },
            "primary": {
                "embedding": primary.embedding,
                "feature": primary.feature,
                "ranker": settings.ranker,
                "protocol": _PROTOCOL,
                "train_on": primary.train_on,
            },
            "rows": [r for cell in cells for r in _report_rows(cell, rows, settings.ranker)],
            "comparisons": _comparisons(cells, test, settings),
            "controls": {
                "shuffled_images": _comparison(control, baseline, test, settings),
            },
            "best_possible": _best_possible(settings.truth, test, rows.item_ids),
            "sim_score_gap": {e.name: _sim_score_gap(rows, e) for e in embeddings},
        }
    )


def _primary(cells: Sequence[Cell], rows: Rows) -> Cell:
    """COURIER's feature with the highest mean AUC on validation."""
    clicked = rows.split["validation"].clicked
    return max(
        (cell for cell in cells if cell.role == "courier"),
        key=lambda cell: np.mean([auc(clicked, scores) for scores in cell.validation]),
    )


def _shuffled(embedding: Vectors) -> Vectors:
    """The same vectors, each given to another item."""
    order = np.random.default_rng(0).permutation(np.arange(1, len(embedding.vectors)))
    order = np.concatenate([[0], order])
    return replace(
        embedding,
        name="shuffled",
        role="control",
        vectors=embedding.vectors[order],
        clusters=embedding.clusters[order],
    )


def _report_rows(cell: Cell, rows: Rows, ranker: str) -> list[dict[str, Any]]:
    test = rows.split["test"]
    clicked = test.clicked
    # A page id need not be of one user alone.
    pages = np.unique(
        np.array([test.user_id.astype(str), test.page_id.astype(str)]), axis=1, return_inverse=True
    )[1]
    categories = rows.categories[test.item_index].astype(str)
    names, counts = np.unique(categories[categories != ""], return_counts=True)
    largest = names[np.argsort(-counts, kind="stable")[:_CATEGORIES]]
    slices = {
        "item_new": ~test.item_seen_in_training,
        "item_known": test.item_seen_in_training,
        **{f"category={name}": categories == name for name in largest},
    }
    return [
        {
            "embedding": cell.embedding,
            "role": cell.role,
            "feature": cell.feature,
            "ranker": ranker,
            "protocol": _PROTOCOL,
            "seed": seed,
            "pretrain_seed": 0,
            "train_on": cell.train_on,
            "auc": auc(clicked, scores),
            "gauc": gauc(clicked, scores, test.user_id),
            "ndcg@10": ndcg(clicked, scores, pages, k=10),
            "log_loss": log_loss(clicked, scores),
            "ece": expected_calibration_error(clicked, scores, bins=15),
            "slices": {
                name: {"auc": auc(clicked[inside], scores[inside]), "count": int(inside.sum())}
                for name, inside in slices.items()
            },
        }
        for seed, scores in enumerate(cell.test)
    ]


def _comparisons(
    cells: Sequence[Cell], test: Impressions, settings: EvaluateSettings
) -> list[dict[str, Any]]:
    """Everything against no image, and COURIER against all others in the same feature."""
    baseline, *others = cells
    pairs = [(cell, baseline) for cell in others]
    pairs += [
        (a, b)
        for a in others
        for b in others
        if a.role == "courier" and b.role in ("baseline", "ablation") and a.feature == b.feature
    ]
    comparisons = [_comparison(a, b, test, settings) for a, b in pairs]
    adjusted = holm([c["p_value"] for c in comparisons])
    return [{**c, "p_holm": p} for c, p in zip(comparisons, adjusted, strict=True)]


def _comparison(a: Cell, b: Cell, test: Impressions, settings: EvaluateSettings) -> dict[str, Any]:
    result = paired_bootstrap(
        test.clicked,
        test.user_id.astype(str),
        a.test,
        b.test,
        replicates=settings.replicates,
        seed=_BOOTSTRAP_SEED,
    )
    return {
        "a": f"{a.embedding}/{a.feature}",
        "b": f"{b.embedding}/{b.feature}",
        "ranker": settings.ranker,
        "protocol": _PROTOCOL,
        "metric": "auc",
        **result,
        "p_holm": result["p_value"],
    }


def _best_possible(
    truth: str | None, test: Impressions, item_ids: np.ndarray
) -> dict[str, float] | None:
    if truth is None:
        return None
    probability = Truth(truth).probability(test, item_ids)
    new = ~test.item_seen_in_training
    return {
        "auc": auc(test.clicked, probability),
        "auc_item_new": auc(test.clicked[new], probability[new]),
    }


def _sim_score_gap(rows: Rows, embedding: Vectors) -> dict[str, float]:
    """Mean sim_score of clicked minus un-clicked rows; in-pretraining far above test: overfit."""
    mean = {n: s[:, rows.tables.history] for n, s in rows.sim_scores(embedding.vectors).items()}

    def gap(split: str, inside: np.ndarray) -> float:
        shown = rows.split[split]
        inside = inside & (shown.history > 0).any(axis=1)
        clicked = shown.clicked == 1
        if not (inside & clicked).any() or not (inside & ~clicked).any():
            return math.nan
        return float(mean[split][inside & clicked].mean() - mean[split][inside & ~clicked].mean())

    early = rows.split["train"].in_pretraining
    return {
        "in_pretraining": gap("train", early),
        "later_train": gap("train", ~early),
        "test": gap("test", np.ones(len(rows.split["test"]), bool)),
    }


def _write_predictions(path: Path, test: Impressions, cells: Sequence[Cell]) -> None:
    columns: dict[str, Any] = {
        "row_id": np.arange(len(test)),
        "user_id": test.user_id.astype(str),
        "clicked": test.clicked,
    }
    for cell in cells:
        for seed, scores in enumerate(cell.test):
            columns[f"{cell.embedding}/{cell.feature}/{seed}"] = scores
    partial = path.with_suffix(".partial")
    pd.DataFrame(columns).to_parquet(partial, index=False)
    os.replace(partial, path)


def _without_nan(value: Any) -> Any:
    """Undefined numbers become null, NumPy's become Python's."""
    if isinstance(value, dict):
        return {key: _without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(inner) for inner in value]
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value


def check_truth(settings: EvaluateSettings) -> None:
    """Raises InputError if the truth folder is named and not there."""
    if settings.truth is not None and not Path(settings.truth).is_dir():
        raise InputError(f"evaluate.truth: no folder {settings.truth}; simulate writes truth/")
