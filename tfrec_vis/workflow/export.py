"""Exports the models of a run."""

from __future__ import annotations

from pathlib import Path

from tfrec_vis.recipes import Recipe


def export_models(recipe: Recipe, work: Path, models: Path, out: Path) -> None:
    raise NotImplementedError
