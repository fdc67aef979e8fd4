"""The smallest recipe that goes through every stage, and calling the command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

SECTIONS: dict[str, Any] = {
    "prepare": {"image_size": 32, "shards": 2},
    "pretrain": {
        "encoder": "swin_micro",
        "embedding_dim": 16,
        "epochs": 1,
        "batch_size": 64,
        "micro_batch": 64,
        "temperature": 0.1,
    },
    "embed": {"clusters": 8},
    "evaluate": {
        "features": ["none", "cluster_id"],
        "seeds": 1,
        "gates": True,
        "images_off": ["Kestrel"],
        "history": 6,
        "epochs": 1,
        "min_count": 2,
        "batch_size": 256,
        "train_on": "all",
        "replicates": 200,
    },
}


def write_recipe(shop: Path, **pretrain: Any) -> Path:
    """Adds the sections to the recipe of a simulated shop, as chain.yaml beside it."""
    recipe = yaml.safe_load((shop / "recipe.yaml").read_text())
    for name, section in SECTIONS.items():
        recipe[name] = {**recipe.get(name, {}), **section}
    recipe["pretrain"] |= pretrain
    path = shop / "chain.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return path


def command(*arguments: object) -> list[str]:
    """The command line of ``tfrec-vis``."""
    return [sys.executable, "-m", "tfrec_vis.cli", *map(str, arguments)]


def call(*arguments: object) -> str:
    """Standard output of a command that succeeds."""
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    environment["COLUMNS"] = "200"
    done = subprocess.run(command(*arguments), capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


def read_report(work: Path) -> dict[str, Any]:
    """report.json without ``cost``."""
    report = json.loads((work / "report.json").read_text())
    return {name: value for name, value in report.items() if name != "cost"}
