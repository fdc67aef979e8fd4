"""A tiny simulated shop and its prepared data, made by the real stages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tfrec_vis import sources
from tfrec_vis.prepare import PrepareSettings, prepare
from tfrec_vis.simulation import simulate

USERS, ITEMS, IMAGE_SIZE = 60, 60, 32


def write(folder: Path, users: int = USERS, items: int = ITEMS, seed: int = 0) -> tuple[Path, Path]:
    """Simulates a shop in FOLDER/shop, prepares it in FOLDER/prepared; gives both folders."""
    shop, prepared = folder / "shop", folder / "prepared"
    simulate(shop, users=users, items=items, seed=seed, image_size=IMAGE_SIZE)
    return shop, prepare_shop(shop, prepared)


def prepare_shop(shop: Path, out: Path, **settings: Any) -> Path:
    """Prepares a simulated shop; gives the folder."""
    recipe = yaml.safe_load((shop / "recipe.yaml").read_text())
    source = sources.create(recipe["source"], str(shop))
    prepare(source, out, PrepareSettings(image_size=IMAGE_SIZE, shards=2, **settings))
    return out
