"""The demo: a small simulated shop through the whole chain."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tfrec_vis.recipes import load_recipe
from tfrec_vis.simulation import Parameters, simulate
from tfrec_vis.workflow import Stage, locked, run_recipe

USERS, ITEMS, SEED = 800, 600, 0

SECTIONS: dict[str, Any] = {
    "prepare": {"image_size": 64, "shards": 2},
    "pretrain": {
        "encoder": "efficientnet_lite0",
        "embedding_dim": 64,
        "epochs": 1,
        "batch_size": 256,
        "micro_batch": None,
        "temperature": 0.2,
        "learning_rate": 0.0001,
    },
    "embed": {"clusters": 60},
    "evaluate": {
        "features": ["none", "sim_score", "cluster_id"],
        "seeds": 3,
        "history": 10,
        "batch_size": 512,
        "epochs": 2,
        "learning_rate": 0.001,
        "train_on": "all",
    },
}
"""Sized for a few minutes on two cores."""


def run_demo(work: Path, sections: dict[str, Any] = SECTIONS) -> None:
    """Simulates a shop in WORK/shop and runs its recipe in WORK.

    Args:
        work: the work folder.
        sections: of the recipe, besides its source.
    """

    def make(out: Path) -> None:
        simulate(out / "data", users=USERS, items=ITEMS, seed=SEED, recipe_sections=sections)

    with locked(work):
        shop = Stage(
            "simulate",
            work / "shop",
            [USERS, ITEMS, SEED, sections, asdict(Parameters())],
            [],
            make,
        )
        print("simulate (shop) …" if not shop.is_done else "simulate (shop): unchanged", flush=True)
        shop.run()
        recipe = load_recipe(work / "shop" / "data" / "recipe.yaml")
        run_recipe(replace(recipe, name="simulated shop"), work)
