"""Comparing the embeddings of a work folder: what the ``evaluate`` stage calls."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tfrec_vis.data import read_items
from tfrec_vis.embeddings import Embeddings
from tfrec_vis.errors import InputError
from tfrec_vis.evaluation import Vectors, run_experiment
from tfrec_vis.pretraining import ABLATIONS, UNTRAINED, PretrainSettings
from tfrec_vis.ranking import parse_features
from tfrec_vis.recipes import Recipe


def trainings(run: PretrainSettings) -> dict[str, tuple[str, int]]:
    """All pre-trainings of a recipe, its method first.

    Returns:
        Name of the folder -> (name of the method or ablation, which of its ``seeds``).
    """
    return {
        name if repeat == 0 else f"{name}-seed{repeat}": (name, repeat)
        for name in (run.method, *run.compare)
        if name not in UNTRAINED
        for repeat in range(run.seeds.get(name, 1))
    }


def check_semantic_ids(recipe: Recipe) -> None:
    """Raises InputError where a feature needs semantic ids and ``embed`` makes none."""
    for feature in recipe.evaluate.features:
        if "semantic_id" in parse_features(feature) and not recipe.embed.semantic_levels:
            raise InputError(
                f"evaluate.features: {feature} needs semantic ids; set embed.semantic_levels to 2 "
                "or 3"
            )


def read_vectors(
    folder: Path, prepared: Path, role: str, name: str | None = None, pretrain_seed: int = 0
) -> Vectors:
    """An embedding by ``item_index``.

    Args:
        folder: of the embeddings.
        prepared: folder of the prepared data.
        role: "courier", "baseline", "ablation" or "oracle".
        name: what the report calls it; None: the folder's name.
        pretrain_seed: the seed it was pre-trained with; 0 where it was not.
    """
    stored = Embeddings.read(folder)
    item_ids = read_items(prepared, pictures=False).item_id
    codes = None if stored.semantic_id is None else stored.semantic_ids_for(item_ids)
    return Vectors(
        name or folder.name,
        role,
        stored.vectors_for(item_ids),
        stored.clusters_for(item_ids),
        len(stored.centroids),
        codes,
        0 if stored.codebooks is None else stored.codebooks.shape[1],
        pretrain_seed,
    )


def evaluate(recipe: Recipe, prepared: Path, folders: Sequence[Path], out: Path) -> None:
    """Runs the experiment and writes report.json without ``cost``.

    Args:
        recipe: the recipe.
        prepared: folder of the prepared data.
        folders: of the embeddings.
        out: the stage's folder.
    """
    roles = {name: "ablation" for name in ABLATIONS}
    roles |= {recipe.pretrain.method: "courier", "truth": "oracle"}
    known = trainings(recipe.pretrain)
    compared = []
    for folder in folders:
        name, seed = folder.name, 0
        if name in known:
            name, repeat = known[name]
            seed = recipe.pretrain.seed + repeat
        role = roles.get(name, "baseline")
        compared.append(read_vectors(folder, prepared, role, name, seed))
    report = run_experiment(prepared, compared, recipe.evaluate, out, recipe.name)
    report["settings"] = {
        "source": recipe.source,
        **{
            name: asdict(getattr(recipe, name))
            for name in ("prepare", "pretrain", "embed", "evaluate")
        },
    }
    (out / "report.json").write_text(json.dumps(report, indent=1))
