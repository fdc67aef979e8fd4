"""Prepares data on Flink, Spark or Dataflow: submit this file; copy it to change it.

    python pipelines/prepare.py RECIPE OUT [--set A.B=C] -- --runner=FlinkRunner ...

RECIPE is that of ``tfrec-vis prepare``; its files and OUT must be reachable from all workers
(gs://, s3://, hdfs://, or a disk they share). Commands for each runner, and how the workers get
the package: docs/scale.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from tfrec_vis import sources
from tfrec_vis.errors import InputError
from tfrec_vis.prepare import prepare
from tfrec_vis.recipes import load_recipe


def main(arguments: Sequence[str]) -> None:
    """Runs the preparation and prints what became of the rows."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw, allow_abbrev=False)
    parser.add_argument("recipe", help="the recipe, a YAML file")
    parser.add_argument("out", help="new folder for the prepared data, a path or URI")
    parser.add_argument("--set", action="append", default=[], metavar="A.B=C")
    given, flags = parser.parse_known_args(arguments)
    recipe = load_recipe(given.recipe, given.set)
    source = sources.create(recipe.source, str(recipe.folder))
    beam_flags = [flag for flag in flags if flag != "--"]
    manifest = prepare(source, given.out, recipe.prepare, beam_flags)
    print(json.dumps({name: manifest[name] for name in ("interactions", "items", "splits")}))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
