"""The component that pre-trains image encoders."""

# No `from __future__ import annotations`: TFX reads the annotations as objects.

from tfx import v1 as tfx

from tfrec_vis.tfx_components.artifacts import PreparedData, PretrainedEncoders
from tfrec_vis.tfx_components.parameters import to_recipe
from tfrec_vis.tfx_components.stage_runner import hand_over, run_stage, work_folder


@tfx.dsl.components.component
def Pretrain(
    prepared: tfx.dsl.components.InputArtifact[PreparedData],
    encoders: tfx.dsl.components.OutputArtifact[PretrainedEncoders],
    logs: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.ModelRun],
    source: tfx.dsl.components.Parameter[str],
    prepare: tfx.dsl.components.Parameter[str],
    pretrain: tfx.dsl.components.Parameter[str],
    identity: tfx.dsl.components.Parameter[str],
) -> None:
    """Pre-trains an encoder on clicks, and those that it is compared with.

    Args:
        prepared: the data.
        encoders: output.
        logs: output, for TensorBoard.
        source, prepare, pretrain, identity: ``parameters(recipe, "pretrain")``.
    """
    recipe = to_recipe(source, prepare=prepare, pretrain=pretrain)
    with work_folder(prepared=prepared) as work:
        run_stage("pretrain", recipe, work)
        made = hand_over(work / "pretrain", encoders)
        hand_over(work / "logs", logs)
    methods = ",".join(sorted(path.name for path in made.iterdir()))
    encoders.set_string_custom_property("methods", methods)
