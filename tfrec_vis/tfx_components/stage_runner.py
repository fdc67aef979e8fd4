"""Runs a stage of the workflow between artifacts."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tensorflow as tf
from tfx.types.artifact import Artifact

from tfrec_vis.recipes import Recipe
from tfrec_vis.workflow.stages import build_stages


def local_path(uri: str) -> Path:
    """Where a component finds an artifact: Vertex AI mounts ``gs://BUCKET`` as ``/gcs/BUCKET``."""
    return Path(uri.replace("gs://", "/gcs/", 1) if uri.startswith("gs://") else uri)


@contextmanager
def work_folder(**inputs: Artifact) -> Iterator[Path]:
    """A work folder for as long as the component runs, in TMPDIR.

    Args:
        inputs: artifacts by the name of the folder that they are there, such as ``prepared``.
    """
    with tempfile.TemporaryDirectory(prefix="tfrec-vis-") as name:
        work = Path(name)
        for folder, artifact in inputs.items():
            (work / folder).symlink_to(local_path(artifact.uri).resolve())
        yield work


def run_stage(stage: str, recipe: Recipe, work: Path) -> None:
    """Makes the folders of a stage; the stage's own caching is left to TFX.

    Args:
        stage: "prepare", "pretrain", "embed", "evaluate" or "export".
        recipe: the recipe; sections of later stages do not matter.
        work: has the folders that the stage reads.
    """
    tf.config.experimental.enable_op_determinism()
    for one in build_stages(recipe, work):
        if one.name == stage:
            one.run()


def hand_over(made: Path, artifact: Artifact | str) -> Path:
    """Moves all that is in a folder into an artifact's (or a URI's); gives that folder."""
    uri = artifact if isinstance(artifact, str) else artifact.uri
    target = local_path(uri)
    target.mkdir(parents=True, exist_ok=True)
    for path in made.iterdir():
        shutil.move(path, target / path.name)
    return target
