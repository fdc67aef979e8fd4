"""The component that trains rankers with and without pictures."""

# No `from __future__ import annotations`: TFX reads the annotations as objects.

from tfx import v1 as tfx

from tfrec_vis.tfx_components.artifacts import Embeddings, PreparedData, RankingExperiment
from tfrec_vis.tfx_components.parameters import to_recipe
from tfrec_vis.tfx_components.stage_runner import hand_over, run_stage, work_folder


@tfx.dsl.components.component
def Rank(
    prepared: tfx.dsl.components.InputArtifact[PreparedData],
    embeddings: tfx.dsl.components.InputArtifact[Embeddings],
    experiment: tfx.dsl.components.OutputArtifact[RankingExperiment],
    source: tfx.dsl.components.Parameter[str],
    prepare: tfx.dsl.components.Parameter[str],
    pretrain: tfx.dsl.components.Parameter[str],
    embed: tfx.dsl.components.Parameter[str],
    evaluate: tfx.dsl.components.Parameter[str],
    identity: tfx.dsl.components.Parameter[str],
) -> None:
    """Trains every ranker of the recipe's experiment and scores the test rows.

    Args:
        prepared: the data.
        embeddings: what is compared.
        experiment: output.
        source, prepare, pretrain, embed, evaluate, identity: ``parameters(recipe, "evaluate")``.
    """
    sections = {"prepare": prepare, "pretrain": pretrain, "embed": embed, "evaluate": evaluate}
    recipe = to_recipe(source, **sections)
    with work_folder(prepared=prepared, embeddings=embeddings) as work:
        run_stage("evaluate", recipe, work)
        hand_over(work / "evaluation", experiment)
