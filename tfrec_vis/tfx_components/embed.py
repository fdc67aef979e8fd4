"""The component that gives every item a vector and a cluster id."""

# No `from __future__ import annotations`: TFX reads the annotations as objects.

from tfx import v1 as tfx

from tfrec_vis.tfx_components.artifacts import Embeddings, PreparedData, PretrainedEncoders
from tfrec_vis.tfx_components.parameters import to_recipe
from tfrec_vis.tfx_components.stage_runner import hand_over, run_stage, work_folder


@tfx.dsl.components.component
def Embed(
    prepared: tfx.dsl.components.InputArtifact[PreparedData],
    encoders: tfx.dsl.components.InputArtifact[PretrainedEncoders],
    embeddings: tfx.dsl.components.OutputArtifact[Embeddings],
    source: tfx.dsl.components.Parameter[str],
    prepare: tfx.dsl.components.Parameter[str],
    pretrain: tfx.dsl.components.Parameter[str],
    embed: tfx.dsl.components.Parameter[str],
    evaluate: tfx.dsl.components.Parameter[str],
    identity: tfx.dsl.components.Parameter[str],
) -> None:
    """Encodes the catalogue with each encoder, also with that before pre-training.

    Args:
        prepared: the data.
        encoders: the pre-trained ones.
        embeddings: output.
        source, prepare, pretrain, embed, evaluate, identity: ``parameters(recipe, "embed")``.
    """
    sections = {"prepare": prepare, "pretrain": pretrain, "embed": embed, "evaluate": evaluate}
    recipe = to_recipe(source, **sections)
    with work_folder(prepared=prepared, pretrain=encoders) as work:
        run_stage("embed", recipe, work)
        made = hand_over(work / "embeddings", embeddings)
    names = ",".join(sorted(path.name for path in made.iterdir()))
    embeddings.set_string_custom_property("names", names)
