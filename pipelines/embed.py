"""Embeds a large catalogue on Flink, Spark or Dataflow: submit this file; copy it to change it.

    python pipelines/embed.py RECIPE PREPARED TRAINED OUT [--set A.B=C] -- --runner=FlinkRunner ...

RECIPE is that of ``tfrec-vis embed``, of which the section ``embed`` counts; PREPARED is what
``prepare`` wrote, TRAINED a folder with model.keras and settings.json such as
WORK/pretrain/courier. PREPARED, TRAINED and OUT must be reachable from all workers (gs://, s3://,
hdfs://, or a disk they share). Commands for each runner, and how the workers get the package:
docs/scale.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from tfrec_vis.embeddings.pipeline import embed_with_beam
from tfrec_vis.errors import run_script
from tfrec_vis.recipes import load_recipe


def main(arguments: Sequence[str]) -> None:
    """Runs the pipeline and prints the metadata of the embeddings."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw, allow_abbrev=False)
    parser.add_argument("recipe", help="the recipe, a YAML file")
    parser.add_argument("prepared", help="the prepared data, a path or URI")
    parser.add_argument("trained", help="folder with model.keras, a path or URI")
    parser.add_argument("out", help="new folder for the embeddings, a path or URI")
    parser.add_argument("--set", action="append", default=[], metavar="A.B=C")
    given, flags = parser.parse_known_args(arguments)
    recipe = load_recipe(given.recipe, given.set)
    beam_flags = [flag for flag in flags if flag != "--"]
    metadata = embed_with_beam(given.prepared, given.trained, given.out, recipe.embed, beam_flags)
    print(json.dumps(metadata))


if __name__ == "__main__":
    run_script(main)
