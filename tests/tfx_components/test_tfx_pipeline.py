"""The TFX pipeline on a simulated shop: twice unchanged, then with a demand it cannot meet."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("tfx.version", reason="needs TFX, see docs/tfx.md: make test-tfx")

import tensorflow as tf  # noqa: E402
import tensorflow_data_validation as tfdv  # noqa: E402
import tensorflow_model_analysis as tfma  # noqa: E402
from chain_recipe import write_recipe  # noqa: E402
from pipeline_run import Metadata, run  # noqa: E402
from sklearn.metrics import roc_auc_score  # noqa: E402
from tensorflow_metadata.proto.v0 import anomalies_pb2  # noqa: E402

from pipelines import tfx_pipeline  # noqa: E402
from tfrec_vis.data import read_impressions, read_items  # noqa: E402
from tfrec_vis.recipes import Recipe, load_recipe  # noqa: E402
from tfrec_vis.simulation import simulate  # noqa: E402

OURS = {"Prepare", "Pretrain", "Embed", "Rank", "Evaluate", "Export", "RankerRequests", "Publish"}
THEIRS = {"ImportExampleGen", "StatisticsGen", "SchemaGen", "ExampleValidator"}
THEIRS |= {"Evaluator", "Pusher"}
JUDGING = {"Evaluator", "Pusher", "Publish"}
LOWEST, BEYOND_REACH = 0.2, 0.99


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    shop = tmp_path_factory.mktemp("tfx") / "shop"
    simulate(shop, users=60, items=60, seed=0, image_size=32)
    return load_recipe(write_recipe(shop))


@pytest.fixture(scope="module")
def first(recipe: Recipe) -> tuple[Path, float]:
    """Root of the first run, and its seconds."""
    root = recipe.folder.parent / "root"
    return root, run(recipe, root, LOWEST)


def test_every_component_runs_and_its_artifacts_are_known(first: tuple[Path, float]) -> None:
    metadata = Metadata(first[0])
    assert metadata.states() == dict.fromkeys(OURS | THEIRS, Counter(COMPLETE=1))
    prepared, properties = metadata.newest("tfrec_vis.PreparedData")
    manifest = json.loads((prepared / "manifest.json").read_text())
    rows = sum(manifest["splits"][n]["rows"] for n in ("train", "validation", "test"))
    assert (properties["items"], properties["rows"]) == (60, rows)
    encoders, properties = metadata.newest("tfrec_vis.PretrainedEncoders")
    assert properties["methods"] == "courier" and (encoders / "courier/model.keras").is_file()
    logs, _ = metadata.newest("ModelRun")
    assert list(logs.rglob("events.out.tfevents*"))
    embeddings, properties = metadata.newest("tfrec_vis.Embeddings")
    assert properties["names"] == "courier,random,truth"
    assert len(pd.read_parquet(embeddings / "courier/embeddings.parquet")) == 60
    report, properties = metadata.newest("tfrec_vis.RankingReport")
    written = json.loads((report / "report.json").read_text())
    assert properties["primary"].split("/")[0] == written["primary"]["embedding"]
    assert set(written["cost"]["seconds"]) == {"prepare", "pretrain", "embed", "evaluate"}
    assert (report / "report.html").read_text().startswith("<!doctype html>")


def test_data_validation_saw_every_row_and_finds_nothing_amiss(first: tuple[Path, float]) -> None:
    metadata = Metadata(first[0])
    prepared, _ = metadata.newest("tfrec_vis.PreparedData")
    statistics, _ = metadata.newest("ExampleStatistics")
    anomalies, _ = metadata.newest("ExampleAnomalies")
    for split in ("train", "validation", "test"):
        seen = tfdv.load_stats_binary(str(statistics / f"Split-{split}/FeatureStats.pb"))
        assert seen.datasets[0].num_examples == len(read_impressions(prepared, split))
        names = {feature.path.step[0] for feature in seen.datasets[0].features}
        assert {"user_id", "item_index", "clicked", "history"} <= names
        found = (anomalies / f"Split-{split}/SchemaDiff.pb").read_bytes()
        assert not anomalies_pb2.Anomalies.FromString(found).anomaly_info


def test_requests_are_the_prepared_rows(first: tuple[Path, float]) -> None:
    metadata = Metadata(first[0])
    prepared, _ = metadata.newest("tfrec_vis.PreparedData")
    requests, _ = metadata.newest("Examples", "RankerRequests")
    item_id = read_items(prepared, pictures=False).item_id
    for split in ("validation", "test"):
        rows = read_impressions(prepared, split)
        files = [str(file) for file in (requests / f"Split-{split}").iterdir()]
        records = list(tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator())
        assert len(records) == len(rows)
        for row, record in enumerate(records):
            features = tf.train.Example.FromString(record).features.feature
            text = {n: [v.decode() for v in f.bytes_list.value] for n, f in features.items()}
            assert text["user_id"] == [rows.user_id[row]]
            assert text["item_id"] == [item_id[rows.item_index[row]]]
            assert text["history_item_id"] == [item_id[i] for i in rows.history[row] if i]
            assert text["position"] == [rows.context["position"][row]]
            assert features["timestamp"].int64_list.value[:] == [rows.timestamp[row]]
            assert features["clicked"].int64_list.value[:] == [rows.clicked[row]]


def test_model_analysis_measures_what_the_experiment_measured(first: tuple[Path, float]) -> None:
    metadata = Metadata(first[0])
    experiment, _ = metadata.newest("tfrec_vis.RankingExperiment")
    report, properties = metadata.newest("tfrec_vis.RankingReport")
    primary = json.loads((report / "report.json").read_text())["primary"]
    name = "/".join(primary[n] for n in ("embedding", "feature", "ranker", "protocol"))
    scores = pd.read_parquet(experiment / "predictions.parquet")
    exact = roc_auc_score(scores["clicked"], scores[f"{name}/0/0"])
    assert properties["auc"] == pytest.approx(exact, abs=1e-6)  # rounded in the report

    evaluation, _ = metadata.newest("ModelEvaluation")
    measured = tfma.load_eval_result(str(evaluation))
    by_slice = {key: values[""][""] for key, values in measured.slicing_metrics}
    overall = by_slice[()]
    assert overall["example_count"]["doubleValue"] == len(scores)
    assert overall["auc"]["doubleValue"] == pytest.approx(exact, abs=2e-3)
    assert overall["calibration"]["doubleValue"] == pytest.approx(
        scores[f"{name}/0/0"].mean() / scores["clicked"].mean(), abs=1e-4
    )
    prepared, _ = metadata.newest("tfrec_vis.PreparedData")
    known = read_impressions(prepared, "test").item_seen_in_training
    for value, count in zip(*np.unique(known, return_counts=True), strict=True):
        key = (("item_seen_in_training", int(value)),)
        assert by_slice[key]["example_count"]["doubleValue"] == count


def test_a_blessed_ranker_is_pushed_and_the_encoder_published(first: tuple[Path, float]) -> None:
    root, metadata = first[0], Metadata(first[0])
    assert metadata.newest("ModelBlessing")[1]["blessed"] == 1
    _, pushed = metadata.newest("PushedModel")
    assert pushed["pushed"] == 1
    published, properties = metadata.newest("tfrec_vis.PublishedModels")
    versions = json.loads((published / "published.json").read_text())
    assert properties["models"] == len(versions)
    assert versions["ranker"] == pushed["pushed_destination"]
    assert set(versions) == {"ranker", "encoder", "similar"}
    assert set(versions) == {path.name for path in (root / "serving").iterdir() if path.is_dir()}
    for folder in versions.values():
        assert tf.saved_model.contains_saved_model(folder)
    config = (root / "serving/models.config").read_text()
    assert all(f'name: "{name}"' in config for name in versions)
    ranker = tf.saved_model.load(versions["ranker"]).signatures["serving_default"]
    answer = ranker(
        user_id=tf.constant(["u00001"]),
        item_id=tf.constant(["000004"]),
        history_item_id=tf.constant([["000007", ""]]),
        timestamp=tf.constant([1_700_000_000], tf.int64),
        position=tf.constant(["0"]),
    )
    assert 0 < float(answer["ctr"][0]) < 1


def served(root: Path) -> dict[str, int]:
    """Every file under serving/ with its time of change."""
    files = (path for path in (root / "serving").rglob("*") if path.is_file())
    return {str(path): path.stat().st_mtime_ns for path in files}


def test_then_unchanged_is_cached_and_a_worse_ranker_is_not_pushed(
    recipe: Recipe, first: tuple[Path, float]
) -> None:
    root, seconds = first
    before = served(root)
    again = run(recipe, root, LOWEST)
    assert again < seconds / 4, f"{again:.1f} s after {seconds:.1f} s"
    once, cached = Counter(COMPLETE=1), Counter(COMPLETE=1, CACHED=1)
    assert Metadata(root).states() == dict.fromkeys(OURS | THEIRS, cached)
    assert served(root) == before

    run(recipe, root, BEYOND_REACH)
    metadata = Metadata(root)
    expected = dict.fromkeys(OURS | THEIRS, cached + Counter(CACHED=1))
    expected |= dict.fromkeys(JUDGING, cached + once)
    assert metadata.states() == expected
    assert metadata.newest("ModelBlessing")[1]["blessed"] == 0
    assert metadata.newest("PushedModel")[1]["pushed"] == 0
    published, properties = metadata.newest("tfrec_vis.PublishedModels")
    assert properties["models"] == 0
    assert json.loads((published / "published.json").read_text()) == {}
    assert served(root) == before


def test_compiles_for_kubeflow_and_vertex(recipe: Recipe, tmp_path: Path) -> None:
    output = tmp_path / "pipeline.json"
    path = recipe.folder / f"{recipe.name}.yaml"
    flags = ["--runner", "kubeflow", "--image", "registry/shop:1", "--output", str(output)]
    tfx_pipeline.main([str(path), "--root", "gs://bucket/shop", *flags])
    job = json.loads(output.read_text())
    assert job["runtimeConfig"]["gcsOutputDirectory"] == "gs://bucket/shop/pipeline"
    spec = job["pipelineSpec"]
    tasks = spec["root"]["dag"]["tasks"]
    assert set(tasks) == OURS | THEIRS == set(spec["components"])
    for task in tasks.values():
        made = [v["taskOutputArtifact"] for v in task["inputs"].get("artifacts", {}).values()]
        parameters = task["inputs"].get("parameters", {}).values()
        made += [v["taskOutputParameter"] for v in parameters if "taskOutputParameter" in v]
        assert {one["producerTask"] for one in made} == set(task.get("dependentTasks", []))
        assert set(task.get("dependentTasks", [])) <= set(tasks)
    for executor in spec["deploymentSpec"]["executors"].values():
        assert executor["container"]["image"] == "registry/shop:1"


def test_kubeflow_finds_the_artifacts_by_their_types() -> None:
    from tfx.utils import import_utils

    import tfrec_vis.tfx_components as components

    for name in components.__all__:
        kind = getattr(components, name)
        if hasattr(kind, "TYPE_NAME"):
            assert import_utils.import_class_by_path(kind.TYPE_NAME) is kind


def test_without_image_or_output_nothing_is_compiled(recipe: Recipe) -> None:
    from tfrec_vis.errors import InputError

    path = str(recipe.folder / f"{recipe.name}.yaml")
    with pytest.raises(InputError, match="name the --image and the --output"):
        tfx_pipeline.main([path, "--root", "gs://bucket/shop", "--runner", "kubeflow"])
