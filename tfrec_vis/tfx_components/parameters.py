"""A recipe as execution parameters of the components, by which TFX knows a cached result."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pydantic

import tfrec_vis
from tfrec_vis.evaluation import EvaluateSettings
from tfrec_vis.recipes import Recipe
from tfrec_vis.workflow.stages import build_stages

_KINDS: dict[str, Any] = {
    field.name: type(getattr(Recipe("", Path(), {}), field.name))
    for field in fields(Recipe)
    if field.name not in ("name", "folder", "source")
}
_SECTIONS = ("source", *_KINDS)


def parameters(recipe: Recipe, stage: str) -> dict[str, str]:
    """What a stage's result depends on besides its input artifacts.

    Args:
        recipe: the recipe.
        stage: "prepare", "pretrain", "embed", "evaluate" or "export".

    Returns:
        The recipe's sections up to that of the stage, by name, as JSON; and ``identity``: the
        version of this package, and path, size and time of change of the files that the stage
        reads from outside the pipeline (logs, weights, vectors).
    """
    source = {"name": recipe.name, "folder": str(recipe.folder), "source": recipe.source}
    texts = {"source": json.dumps(source, sort_keys=True)}
    for name in _SECTIONS[1 : _SECTIONS.index(stage) + 1]:
        texts[name] = _text(recipe, name)
    if stage == "embed":  # The truth of a simulated shop is embedded too.
        recipe = replace(recipe, evaluate=EvaluateSettings(truth=recipe.evaluate.truth))
        texts["evaluate"] = _text(recipe, "evaluate")
    if stage == "export":  # Where models are published is for Pusher and Publish to say.
        recipe = replace(recipe, export=replace(recipe.export, path="/"))
        texts["export"] = _text(recipe, "export")
    made = [s for s in build_stages(recipe, Path()) if s.name == stage]
    inputs = {str(s.folder): s.inputs for s in made}
    identity = {"tfrec_vis": tfrec_vis.__version__, "inputs": inputs}
    return texts | {"identity": json.dumps(identity, sort_keys=True, default=str)}


def _text(recipe: Recipe, section: str) -> str:
    adapter = pydantic.TypeAdapter(_KINDS[section])
    return adapter.dump_json(getattr(recipe, section)).decode()


def to_recipe(source: str, **sections: str) -> Recipe:
    """The recipe that :func:`parameters` was given, as far as it is told.

    Args:
        source: name, folder and source, JSON.
        sections: the other sections by name, JSON; those left out have their defaults.
    """
    known = json.loads(source)
    settings = {
        name: pydantic.TypeAdapter(_KINDS[name]).validate_json(text)
        for name, text in sections.items()
    }
    return Recipe(known["name"], Path(known["folder"]), known["source"], **settings)
