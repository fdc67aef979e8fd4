"""Whether the recipe's later stages can work on the prepared data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tfrec_vis.data import read_items, read_manifest
from tfrec_vis.errors import InputError
from tfrec_vis.evaluation.rows import check_categories
from tfrec_vis.evaluation.slices import check_columns
from tfrec_vis.recipes import Recipe


def check_fits(recipe: Recipe, prepared: Path) -> None:
    """Asks before hours of training what later stages need of the data.

    Raises:
        InputError: too few items for ``embed.clusters`` or ``embed.semantic_codes``, a split
            whose rows are of one class, or a category or feature in ``evaluate`` that the data
            do not have.
    """
    manifest = read_manifest(prepared)
    for name in ("train", "validation", "test"):
        rows, clicks = (manifest["splits"][name][what] for what in ("rows", "clicks"))
        if not 0 < clicks < rows:
            raise InputError(
                f"{prepared}: {clicks} of the {rows} {name} rows are clicked, both kinds are "
                f"needed; {_mend(manifest)}"
            )
    items = read_items(prepared, pictures=False)
    first_seen = items.first_seen[1:]
    early = int(np.sum((first_seen >= 0) & (first_seen < manifest["cuts"][1])))
    wanted = {"clusters": recipe.embed.clusters}
    if recipe.embed.semantic_levels:
        wanted["semantic_codes"] = recipe.embed.semantic_codes
    for name, clusters in wanted.items():
        if clusters > early:
            raise InputError(
                f"embed.{name}: {clusters} clusters need as many items, only {early} were seen "
                f"before the second cut; lower embed.{name}"
            )
    check_columns(recipe.evaluate.slices, [*items.features, *manifest["context_features"]])
    check_categories(recipe.evaluate.images_off, items.category)


def _mend(manifest: dict[str, Any]) -> str:
    """What gives a split rows of both kinds."""
    if manifest["has_labels"]:
        return (
            "give a longer log, move prepare.splits, or, where every row of the log is a click, "
            "leave clicked out of source.interactions.columns"
        )
    if manifest["settings"]["negatives"] == 0:
        return "set prepare.negatives to 1 or more: the log itself has clicks alone"
    return "give a longer log of more users, move prepare.splits, or raise " + (
        "prepare.negatives_window_days: too few items were clicked by others to draw from"
    )
