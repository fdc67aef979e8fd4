"""The stages of a recipe as a TFX pipeline, run here or compiled for Kubeflow or Vertex AI.

    python pipelines/tfx_pipeline.py RECIPE --root DIR [--set A.B=C] [--min-auc 0.5]
        [--runner local|kubeflow] [--image NAME] [--output FILE] [-- BEAM_FLAGS]

DIR gets the artifacts (pipeline/), their metadata (metadata.sqlite) and the published models
(serving/). A second run makes only what has changed. What each component reads and makes, and how
to install TFX: docs/tfx.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

# First: it selects the Keras that the TFX libraries then find.
import tfrec_vis.tfx_components as components

# isort: split
import tensorflow_model_analysis as tfma
from tfx import v1 as tfx

from tfrec_vis.errors import InputError, run_script
from tfrec_vis.recipes import Recipe, load_recipe

# Beam's own DirectRunner tries to download another runner first.
BEAM_FLAGS = ("--runner=apache_beam.runners.portability.fn_api_runner.fn_runner.FnApiRunner",)


def create_pipeline(
    recipe: Recipe,
    root: str,
    min_auc: float = 0.5,
    beam_flags: Sequence[str] = BEAM_FLAGS,
    metadata: str | None = None,
) -> tfx.dsl.Pipeline:
    """The pipeline of a recipe.

    Args:
        recipe: the recipe; its ``export.path`` is not used.
        root: folder or URI for artifacts and published models.
        min_auc: a ranker is blessed if its AUC on test rows is above.
        beam_flags: of the components that are Beam jobs.
        metadata: SQLite file of ML Metadata; None: the platform has its own.
    """

    def of(stage: str) -> dict[str, str]:
        return components.parameters(recipe, stage)

    prepare = components.Prepare(**of("prepare"))
    prepared = prepare.outputs["prepared"]

    # The rows under the eyes of TensorFlow Data Validation.
    splits = [
        tfx.proto.Input.Split(name=name, pattern=f"impressions-{name}-*")
        for name in ("train", "validation", "test")
    ]
    examples = tfx.components.ImportExampleGen(
        input_base=prepare.outputs["folder"].future()[0].value,
        input_config=tfx.proto.Input(splits=splits),
    )
    statistics = tfx.components.StatisticsGen(examples=examples.outputs["examples"])
    schema = tfx.components.SchemaGen(
        statistics=statistics.outputs["statistics"], exclude_splits=["validation", "test"]
    )
    validator = tfx.components.ExampleValidator(
        statistics=statistics.outputs["statistics"], schema=schema.outputs["schema"]
    )

    pretrain = components.Pretrain(prepared=prepared, **of("pretrain"))
    encoders = pretrain.outputs["encoders"]
    embed = components.Embed(prepared=prepared, encoders=encoders, **of("embed"))
    embeddings = embed.outputs["embeddings"]
    rank = components.Rank(prepared=prepared, embeddings=embeddings, **of("evaluate"))
    made = {
        "prepared": prepared,
        "encoders": encoders,
        "embeddings": embeddings,
        "experiment": rank.outputs["experiment"],
    }
    report = components.Evaluate(**made, **of("evaluate"))
    export = components.Export(**made, **of("export"))

    # The exported ranker, judged as a server would run it.
    requests = components.RankerRequests(prepared=prepared)
    evaluator = tfx.components.Evaluator(
        examples=requests.outputs["requests"],
        model=export.outputs["ranker"],
        example_splits=["test"],
        eval_config=evaluation(min_auc),
    )
    pusher = tfx.components.Pusher(
        model=export.outputs["ranker"],
        model_blessing=evaluator.outputs["blessing"],
        push_destination=tfx.proto.PushDestination(
            filesystem=tfx.proto.PushDestination.Filesystem(base_directory=f"{root}/serving/ranker")
        ),
    )
    publish = components.Publish(
        pushed_ranker=pusher.outputs["pushed_model"],
        encoder=export.outputs["encoder"],
        similar=export.outputs["similar"],
        models=f"{root}/serving",
    )
    return tfx.dsl.Pipeline(
        pipeline_name=recipe.name,
        pipeline_root=f"{root}/pipeline",
        components=[
            *(prepare, examples, statistics, schema, validator),
            *(pretrain, embed, rank, report, export),
            *(requests, evaluator, pusher, publish),
        ],
        enable_cache=True,
        metadata_connection_config=metadata
        and tfx.orchestration.metadata.sqlite_metadata_connection_config(metadata),
        beam_pipeline_args=list(beam_flags),
    )


def evaluation(min_auc: float) -> tfma.EvalConfig:
    """What TensorFlow Model Analysis measures, also for new items alone, and what is demanded."""
    threshold = tfma.MetricThreshold(
        value_threshold=tfma.GenericValueThreshold(lower_bound={"value": min_auc})
    )
    metrics = [
        tfma.MetricConfig(class_name="ExampleCount"),
        tfma.MetricConfig(class_name="BinaryCrossEntropy"),
        tfma.MetricConfig(class_name="Calibration"),
        tfma.MetricConfig(class_name="AUC", threshold=threshold),
    ]
    return tfma.EvalConfig(
        model_specs=[
            tfma.ModelSpec(signature_name="examples", label_key="clicked", prediction_key="ctr")
        ],
        slicing_specs=[
            tfma.SlicingSpec(),
            tfma.SlicingSpec(feature_keys=["item_seen_in_training"]),
        ],
        metrics_specs=[tfma.MetricsSpec(metrics=metrics)],
    )


def compile_pipeline(pipeline: tfx.dsl.Pipeline, image: str, output: Path) -> None:
    """Writes a pipeline for Kubeflow Pipelines 2 and Vertex AI.

    Args:
        pipeline: the pipeline.
        image: container image with TFX and tfrec-vis.
        output: JSON file.
    """
    kubeflow = tfx.orchestration.experimental
    config = kubeflow.KubeflowV2DagRunnerConfig(default_image=image, use_pipeline_spec_2_1=True)
    job = kubeflow.KubeflowV2DagRunner(config).run(pipeline, write_out=False)
    # TFX 1.16 names the task whose result is a parameter otherwise than the task itself.
    for task in job["pipelineSpec"]["root"]["dag"]["tasks"].values():
        for parameter in task.get("inputs", {}).get("parameters", {}).values():
            if made := parameter.get("taskOutputParameter"):
                made["producerTask"] = made["producerTask"].removesuffix("_task")
    output.write_text(json.dumps(job, indent=1))


def main(arguments: Sequence[str]) -> None:
    """Runs the pipeline, or compiles it."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw, allow_abbrev=False)
    parser.add_argument("recipe", help="the recipe, a YAML file")
    parser.add_argument("--root", required=True, metavar="DIR", help="folder, or URI for kubeflow")
    parser.add_argument("--set", action="append", default=[], metavar="A.B=C")
    parser.add_argument("--min-auc", type=float, default=0.5, help="of a blessed ranker")
    parser.add_argument("--runner", choices=["local", "kubeflow"], default="local")
    parser.add_argument("--image", help="kubeflow: container image with TFX and tfrec-vis")
    parser.add_argument("--output", help="kubeflow: the compiled pipeline, a JSON file")
    given, flags = parser.parse_known_args(arguments)
    beam_flags = [flag for flag in flags if flag != "--"] or BEAM_FLAGS
    recipe = load_recipe(given.recipe, given.set)
    root = given.root.rstrip("/")
    if given.runner == "local":
        tfx.orchestration.LocalDagRunner().run(
            create_pipeline(recipe, root, given.min_auc, beam_flags, f"{root}/metadata.sqlite")
        )
        return
    if given.output is None or given.image is None:
        raise InputError("--runner kubeflow: name the --image and the --output file")
    pipeline = create_pipeline(recipe, root, given.min_auc, beam_flags)
    compile_pipeline(pipeline, given.image, Path(given.output))


if __name__ == "__main__":
    run_script(main)
