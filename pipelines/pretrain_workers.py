"""Pre-trains over several processes, each of which runs this with its TF_CONFIG.

    python pipelines/pretrain_workers.py RECIPE PREPARED OUT [--set a.b=c]

PREPARED is a folder that ``tfrec-vis prepare`` wrote, OUT is on a file system that all processes
see: the first one writes it, all take an interrupted training up from it. docs/devices.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tfrec_vis.errors import run_script
from tfrec_vis.pretraining import train
from tfrec_vis.recipes import load_recipe


def main(arguments: Sequence[str]) -> None:
    """Trains the recipe's method."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("recipe", "prepared", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--set", action="append", default=[], metavar="a.b=c")
    given = parser.parse_args(arguments)
    settings = load_recipe(given.recipe, given.set).pretrain
    train(given.prepared, given.out, replace(settings, devices="workers"), given.out / "logs")


if __name__ == "__main__":
    run_script(main)
