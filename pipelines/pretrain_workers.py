"""Pre-trains over several processes, each of which runs this with its TF_CONFIG.

    python pipelines/pretrain_workers.py RECIPE PREPARED OUT [--set a.b=c]

PREPARED is a folder that ``tfrec-vis prepare`` wrote, OUT is on a file system that all processes
see: the first one writes it, all take an interrupted training up from it. docs/devices.md.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tfrec_vis.errors import InputError, run_script
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
    check_cluster(os.environ.get("TF_CONFIG", ""))
    train(given.prepared, given.out, replace(settings, devices="workers"), given.out / "logs")


def check_cluster(text: str) -> None:
    """Checks TF_CONFIG.

    Raises:
        InputError: it does not name the workers and which of them this process is.
    """
    try:
        config = json.loads(text) if text else None
    except ValueError as error:
        raise _of_cluster(f"no JSON ({error})") from error
    if config is None:
        raise _of_cluster("not set; name the processes (tfrec-vis pretrain trains in one)")
    parts = config if isinstance(config, dict) else {}
    cluster, task = parts.get("cluster"), parts.get("task")
    workers = cluster.get("worker") if isinstance(cluster, dict) else None
    if not isinstance(workers, list) or not workers or len(cluster) > 1:
        raise _of_cluster('expected {"cluster": {"worker": ["host:port", ...]}, ...}')
    if not isinstance(task, dict) or task.get("type") != "worker":
        raise _of_cluster('expected {..., "task": {"type": "worker", "index": 0}}')
    if task.get("index") not in range(len(workers)):
        raise _of_cluster(f"task.index: expected 0 to {len(workers) - 1}, got {task.get('index')}")


def _of_cluster(wrong: str) -> InputError:
    return InputError(f"TF_CONFIG: {wrong}; see docs/devices.md")


if __name__ == "__main__":
    run_script(main)
