"""The component that writes the report of an experiment."""

# No `from __future__ import annotations`: TFX reads the annotations as objects.

import json
from pathlib import Path

import numpy as np
from tfx import v1 as tfx

from tfrec_vis.tfx_components.artifacts import (
    Embeddings,
    PreparedData,
    PretrainedEncoders,
    RankingExperiment,
    RankingReport,
)
from tfrec_vis.tfx_components.parameters import to_recipe
from tfrec_vis.tfx_components.stage_runner import local_path, work_folder
from tfrec_vis.workflow.stages import build_stages, write_report


@tfx.dsl.components.component
def Evaluate(
    prepared: tfx.dsl.components.InputArtifact[PreparedData],
    encoders: tfx.dsl.components.InputArtifact[PretrainedEncoders],
    embeddings: tfx.dsl.components.InputArtifact[Embeddings],
    experiment: tfx.dsl.components.InputArtifact[RankingExperiment],
    report: tfx.dsl.components.OutputArtifact[RankingReport],
    source: tfx.dsl.components.Parameter[str],
    prepare: tfx.dsl.components.Parameter[str],
    pretrain: tfx.dsl.components.Parameter[str],
    embed: tfx.dsl.components.Parameter[str],
    evaluate: tfx.dsl.components.Parameter[str],
    identity: tfx.dsl.components.Parameter[str],
) -> None:
    """Writes what the rankers' comparison gave, with pictures and cost.

    Args:
        prepared: the data.
        encoders: the pre-trained ones.
        embeddings: what was compared.
        experiment: the trained rankers.
        report: output.
        source, prepare, pretrain, embed, evaluate, identity: ``parameters(recipe, "evaluate")``.
    """
    sections = {"prepare": prepare, "pretrain": pretrain, "embed": embed, "evaluate": evaluate}
    recipe = to_recipe(source, **sections)
    inputs = {"prepared": prepared, "pretrain": encoders, "embeddings": embeddings}
    with work_folder(**inputs, evaluation=experiment) as work:
        write_report(work, build_stages(recipe, work))
        out = local_path(report.uri)
        for name in ("report.json", "report.html"):
            (out / name).write_bytes((work / name).read_bytes())
    primary, auc, without = read_result(out / "report.json")
    report.set_string_custom_property("primary", primary)
    report.set_float_custom_property("auc", auc)
    report.set_float_custom_property("auc_without_images", without)


def read_result(path: Path) -> tuple[str, float, float]:
    """The primary setting of a report.json, its AUC, and that of the same ranker without pictures.

    Args:
        path: of the report.

    Returns:
        "EMBEDDING/FEATURE/RANKER/PROTOCOL", and two means over seeds on test rows.
    """
    report = json.loads(path.read_text())
    primary = report["primary"]
    names = ("embedding", "feature", "ranker", "protocol")

    def auc(**wanted: str) -> float:
        labels = {n: primary[n] for n in names} | wanted
        rows = [r["auc"] for r in report["rows"] if all(r[n] == v for n, v in labels.items())]
        return float(np.mean(rows))

    return (
        "/".join(primary[name] for name in names),
        auc(),
        auc(embedding="none", feature="none"),
    )
