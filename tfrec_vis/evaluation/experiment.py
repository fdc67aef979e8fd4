"""The experiment: embeddings x features x rankers x protocols x seeds, on the same test rows."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tfrec_vis.data import Impressions, read_manifest
from tfrec_vis.errors import InputError
from tfrec_vis.evaluation.cells import Cell, CellRunner
from tfrec_vis.evaluation.comparisons import compare, compare_all, compared_pairs
from tfrec_vis.evaluation.plan import Trained, train_cells
from tfrec_vis.evaluation.popularity import popularity_only
from tfrec_vis.evaluation.rows import Rows
from tfrec_vis.evaluation.settings import EvaluateSettings
from tfrec_vis.evaluation.slices import slices
from tfrec_vis.evaluation.truth import Truth
from tfrec_vis.evaluation.vectors import Vectors
from tfrec_vis.metrics import (
    auc,
    expected_calibration_error,
    gauc,
    gauc_left_out,
    log_loss,
    ndcg,
    reliability,
)
from tfrec_vis.ranking import parse_features

_BINS = 15
"""Of calibration error and reliability."""


def run_experiment(
    prepared: str | Path,
    embeddings: Sequence[Vectors],
    settings: EvaluateSettings,
    out: str | Path,
    name: str,
) -> dict[str, Any]:
    """Trains every embedding in every feature and compares them on the test rows.

    Trainings that ``out`` holds already are not done again, so an interrupted experiment goes
    on where it was, and one of more embeddings, features or seeds does what is new.

    Args:
        prepared: folder that ``prepare`` wrote.
        embeddings: what to compare, each pre-training by itself; exactly one name has the role
            "courier".
        settings: the recipe's ``evaluate`` section.
        out: folder; gets predictions.parquet and runs/.
        name: the data set's name in the report.

    Returns:
        The report (DESIGN: "Report") without ``cost``.

    Raises:
        InputError: settings that name what the data or the embeddings do not have.
    """
    out, prepared = Path(out), Path(prepared)
    rows = Rows.read(prepared, settings.history, settings.min_count)
    test, parts = rows.split["test"], slices(rows, settings.slices)
    for feature in settings.features:
        for embedding in embeddings:
            embedding.check(parse_features(feature))
    off = rows.of_categories(settings.images_off)
    by_name: dict[str, list[Vectors]] = {}
    for embedding in embeddings:
        pictured = embedding.without(off) if off.any() else embedding
        by_name.setdefault(embedding.name, []).append(pictured)
    identity = hashlib.sha256((prepared / "manifest.json").read_bytes()).hexdigest()
    runner = CellRunner(rows, settings, out / "runs", identity)
    trained = train_cells(runner, by_name, settings)

    _write_predictions(
        out / "predictions.parquet", test, [*trained.cells, *trained.controls.values()]
    )
    manifest = read_manifest(prepared)
    primary = trained.primary
    pairs = compared_pairs(trained.cells, trained.best)
    return _without_nan(
        {
            "dataset": {
                "name": name,
                "interactions": manifest["interactions"],
                "items": manifest["items"],
                "categories": [str(c) for c in rows.category_numbers[0] if c],
            },
            "split": {
                "fractions": list(manifest["settings"]["splits"]),
                "cuts": manifest["cuts"],
                **{f"{n}_rows": len(r) for n, r in rows.split.items()},
                "test_users": len(np.unique(test.user_id)),
                "test_rows_on_new_items": int((~test.item_seen_in_training).sum()),
            },
            "primary": {
                **_labels(primary),
                "train_on": primary.train_on,
                "run": primary.files[0],
            },
            "rows": [row for cell in trained.cells for row in _report_rows(cell, test, parts)],
            "comparisons": compare_all(pairs, trained.confirmatory, test, settings.replicates),
            "best_other": [_labels(cell) for cell in trained.best_other.values()],
            "controls": _controls(trained, rows, settings),
            "gates": [gate for cell in trained.cells for gate in _gates(cell, rows)],
            "reliability": [_reliability(c, test) for c in (trained.base(primary), primary)],
            "best_possible": _best_possible(settings.truth, test, rows.item_ids),
            "sim_score_gap": {n: _sim_score_gap(rows, group[0]) for n, group in by_name.items()},
        }
    )


def _labels(cell: Cell) -> dict[str, str]:
    return {n: getattr(cell, n) for n in ("embedding", "feature", "ranker", "protocol")}


def _report_rows(
    cell: Cell, test: Impressions, parts: dict[str, np.ndarray]
) -> list[dict[str, Any]]:
    clicked = test.clicked
    # A page id need not be of one user alone.
    pages = np.unique(
        np.array([test.user_id.astype(str), test.page_id.astype(str)]), axis=1, return_inverse=True
    )[1]
    left_out = gauc_left_out(clicked, test.user_id)
    return [
        {
            **_labels(cell),
            "role": cell.role,
            "seed": seed,
            "pretrain_seed": pretrain_seed,
            "train_on": cell.train_on,
            "validation_auc": validation,
            "epochs": epochs,
            "auc": auc(clicked, scores),
            "gauc": gauc(clicked, scores, test.user_id),
            "gauc_left_out": left_out,
            "ndcg@10": ndcg(clicked, scores, pages, k=10),
            "log_loss": log_loss(clicked, scores),
            "ece": expected_calibration_error(clicked, scores, bins=_BINS),
            "slices": {
                name: {"auc": auc(clicked[inside], scores[inside]), "count": int(inside.sum())}
                for name, inside in parts.items()
            },
        }
        for (pretrain_seed, seed, scores), validation, epochs in zip(
            cell.runs, cell.validation.ravel(), cell.epochs.ravel(), strict=True
        )
    ]


def _controls(trained: Trained, rows: Rows, settings: EvaluateSettings) -> dict[str, Any]:
    """Shuffled images under the primary setting, under the other protocols, and popularity."""
    test, main = rows.split["test"], settings.protocols[0]
    controls: dict[str, Any] = {}
    for protocol, shuffled in trained.controls.items():
        more = "" if protocol == main else f"_{protocol}"
        for name, a, b in (
            ("shuffled_images", shuffled, trained.base(shuffled)),
            ("shuffled_against_primary", trained.primary_in(protocol), shuffled),
        ):
            controls[name + more] = compare(a, b, test, settings.replicates)
    return {**controls, "popularity_only": popularity_only(rows, settings)}


def _gates(cell: Cell, rows: Rows) -> list[dict[str, Any]]:
    """The trained gates of each feature and category over the runs."""
    return [
        {
            **_labels(cell),
            "gate": feature,
            "category": str(category),
            "value": float(values[:, number].mean()),
            "sd": float(values[:, number].std(ddof=1)) if len(values) > 1 else None,
        }
        for feature, values in cell.gates.items()
        for number, category in enumerate(rows.category_numbers[0])
    ]


def _reliability(cell: Cell, test: Impressions) -> dict[str, Any]:
    """Predicted probability and click rate by bin: each run's own bins, as for ECE, averaged."""
    runs = [reliability(test.clicked, scores, bins=_BINS) for *_, scores in cell.runs]
    counts = runs[0][0]
    predicted, clicked = (np.mean([run[i] for run in runs], axis=0) for i in (1, 2))
    return {
        **_labels(cell),
        "bins": [
            {"count": count, "predicted": p, "clicked": c}
            for count, p, c in zip(counts, predicted, clicked, strict=True)
        ],
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
    """Mean cosine to the history, clicked minus un-clicked rows; early far above test: overfit."""
    mean = {
        name: cosines.sum(axis=1) / np.maximum((rows.split[name].history > 0).sum(axis=1), 1)
        for name, cosines in rows.cosines(embedding.vectors).items()
    }

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
        for pretrain_seed, seed, scores in cell.runs:
            columns[f"{cell.name}/{cell.ranker}/{cell.protocol}/{pretrain_seed}/{seed}"] = scores
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
