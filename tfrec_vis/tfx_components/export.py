"""The component that writes the models to be served."""

# No `from __future__ import annotations`: TFX reads the annotations as objects.

from dataclasses import replace

from tfx import v1 as tfx
from tfx.utils import path_utils

from tfrec_vis.tfx_components.artifacts import (
    Embeddings,
    PreparedData,
    PretrainedEncoders,
    RankingExperiment,
)
from tfrec_vis.tfx_components.parameters import to_recipe
from tfrec_vis.tfx_components.stage_runner import hand_over, run_stage, work_folder


@tfx.dsl.components.component
def Export(
    prepared: tfx.dsl.components.InputArtifact[PreparedData],
    encoders: tfx.dsl.components.InputArtifact[PretrainedEncoders],
    embeddings: tfx.dsl.components.InputArtifact[Embeddings],
    experiment: tfx.dsl.components.InputArtifact[RankingExperiment],
    ranker: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.Model],
    encoder: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.Model],
    similar: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.Model],
    source: tfx.dsl.components.Parameter[str],
    prepare: tfx.dsl.components.Parameter[str],
    pretrain: tfx.dsl.components.Parameter[str],
    embed: tfx.dsl.components.Parameter[str],
    evaluate: tfx.dsl.components.Parameter[str],
    export: tfx.dsl.components.Parameter[str],
    identity: tfx.dsl.components.Parameter[str],
) -> None:
    """Exports encoder, neighbours' search and the report's primary ranker, each of them checked.

    Args:
        prepared: the data.
        encoders: the pre-trained ones.
        embeddings: go into the ranker.
        experiment: the trained rankers.
        ranker, encoder, similar: outputs, each with a SavedModel in Format-Serving/.
        source, prepare, pretrain, embed, evaluate, export, identity:
            ``parameters(recipe, "export")``.

    Raises:
        NotPublished: a model does not load, answers otherwise than it should, or too slowly.
    """
    sections = {"prepare": prepare, "pretrain": pretrain, "embed": embed, "evaluate": evaluate}
    recipe = to_recipe(source, **sections, export=export)
    inputs = {"prepared": prepared, "pretrain": encoders, "embeddings": embeddings}
    with work_folder(**inputs, evaluation=experiment) as work:
        models = work / "saved_models"
        recipe = replace(recipe, export=replace(recipe.export, path=str(models)))
        run_stage("export", recipe, work)
        made = {"ranker": ranker, "encoder": encoder, "similar": similar}
        for name, artifact in made.items():
            hand_over(models / name / "1", path_utils.serving_model_dir(artifact.uri))
