"""The component that prepares logs and photos."""

# No `from __future__ import annotations`: TFX reads the annotations as objects.

from typing import TypedDict

from tfx import v1 as tfx

from tfrec_vis.data import read_manifest
from tfrec_vis.tfx_components.artifacts import PreparedData
from tfrec_vis.tfx_components.parameters import to_recipe
from tfrec_vis.tfx_components.stage_runner import hand_over, run_stage, work_folder


class Folder(TypedDict):
    """What Prepare returns."""

    folder: str


@tfx.dsl.components.component
def Prepare(
    prepared: tfx.dsl.components.OutputArtifact[PreparedData],
    source: tfx.dsl.components.Parameter[str],
    prepare: tfx.dsl.components.Parameter[str],
    identity: tfx.dsl.components.Parameter[str],
) -> Folder:
    """Logs and photos to prepared data.

    Args:
        prepared: output.
        source, prepare, identity: ``parameters(recipe, "prepare")``.

    Returns:
        ``folder``: URI of the prepared data, for components that read files by their path.
    """
    recipe = to_recipe(source, prepare=prepare)
    with work_folder() as work:
        run_stage("prepare", recipe, work)
        manifest = read_manifest(hand_over(work / "prepared", prepared))
    rows = sum(manifest["splits"][split]["rows"] for split in ("train", "validation", "test"))
    prepared.set_int_custom_property("rows", rows)
    prepared.set_int_custom_property("items", manifest["item_count"])
    return {"folder": prepared.uri}
