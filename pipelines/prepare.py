"""Prepares data on Flink, Spark or Dataflow: submit this file; copy it to change it.

    python pipelines/prepare.py RECIPE OUT [--set A.B=C] [--append OLD [--cuts T1,T2,T3]]
        [--validate-against OLD] -- --runner=FlinkRunner ...

RECIPE is that of ``tfrec-vis prepare``; its files and OUT must be reachable from all workers
(gs://, s3://, hdfs://, or a disk they share). Commands for each runner, and how the workers get
the package: docs/scale.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from tfrec_vis import sources
from tfrec_vis.errors import run_script
from tfrec_vis.prepare import prepare
from tfrec_vis.prepare.drift import check_comparable, name_drift
from tfrec_vis.prepare.options import PrepareOptions
from tfrec_vis.recipes import load_recipe


def main(arguments: Sequence[str]) -> None:
    """Runs the preparation and prints what became of the rows."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw, allow_abbrev=False)
    parser.add_argument("recipe", help="the recipe, a YAML file")
    parser.add_argument("out", help="new folder for the prepared data, a path or URI")
    parser.add_argument("--set", action="append", default=[], metavar="A.B=C")
    add = "prepared folder or URI to which the source's rows and items are added; it stays as it is"
    parser.add_argument("--append", metavar="OLD", help=add)
    parser.add_argument("--cuts", metavar="T1,T2,T3", help="with --append: move the cuts")
    name = "then name drift and skew against this prepared folder (tfx extra)"
    parser.add_argument("--validate-against", metavar="OLD", help=name)
    given, flags = parser.parse_known_args(arguments)
    recipe = load_recipe(given.recipe, given.set)
    source = sources.create(recipe.source, str(recipe.folder))
    beam_flags = [flag for flag in flags if flag != "--"]
    options = PrepareOptions.parse(beam_flags, given.append is not None, given.cuts)
    if given.validate_against is not None:
        check_comparable(given.validate_against, given.out)
    manifest = prepare(source, given.out, recipe.prepare, options.beam, given.append, options.cuts)
    print(json.dumps({name: manifest[name] for name in ("interactions", "items", "splits")}))
    if given.validate_against is not None:
        name_drift(given.validate_against, given.out)


if __name__ == "__main__":
    run_script(main)
