"""Recipes: the YAML files that say what a run does."""

from tfrec_vis.recipes.load import load_recipe
from tfrec_vis.recipes.recipe import ExportSettings, Recipe

__all__ = ["ExportSettings", "Recipe", "load_recipe"]
