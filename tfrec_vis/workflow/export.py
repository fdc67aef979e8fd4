"""Exports the models of a run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfrec_vis.data import read_impressions, read_items, read_manifest
from tfrec_vis.data.items import read_pictures
from tfrec_vis.embeddings import Embeddings
from tfrec_vis.evaluation.cells import read_weights
from tfrec_vis.evaluation.rows import category_numbers
from tfrec_vis.pretraining import load
from tfrec_vis.ranking import Ranker, RankerTables, parse_features
from tfrec_vis.recipes import ExportSettings
from tfrec_vis.serving import WarmupCall, export_encoder, export_ranker, write_warmup
from tfrec_vis.serving.validate import requests_of
from tfrec_vis.workflow.encoded import picture_size
from tfrec_vis.workflow.evaluated import read_vectors
from tfrec_vis.workflow.publishing import publish_checked

_WARM_UP_ROWS = 16


def export_models(work: Path, method: str, models: Path, out: Path, export: ExportSettings) -> None:
    """Publishes the encoder, and the ranker of the report's primary row (the first of its seeds).

    Both are checked first: ``publish_checked``.

    Args:
        work: the work folder, with everything up to evaluation/ done.
        method: of the pre-training.
        models: where models are published.
        out: gets published.json, the versions' paths.
        export: the recipe's section.

    Raises:
        NotPublished: a model does not pass its checks.
    """
    prepared, evaluation = work / "prepared", work / "evaluation"
    embeddings = Embeddings.read(work / "embeddings" / method)
    manifest = read_manifest(prepared)
    image_size = picture_size(work, method)
    catalogue = read_items(prepared, pictures=False)

    first = np.arange(1, min(len(catalogue), 1 + _WARM_UP_ROWS))
    jpegs = read_pictures(prepared, first)

    def encoder(folder: Path) -> None:
        export_encoder(load(work / "pretrain" / method), image_size, embeddings, folder)
        images = np.array(jpegs, object)
        write_warmup(folder, [_answered(folder, {"image_bytes": images})], "encoder")

    report = json.loads((evaluation / "report.json").read_text())
    primary, settings = report["primary"], report["settings"]["evaluate"]
    tables = RankerTables.build(
        prepared,
        min(settings["history"], manifest["settings"]["max_history"]),
        settings["min_count"],
    )
    vectors = read_vectors(work / "embeddings" / method, prepared, "courier")
    vectors = vectors.without(np.isin(catalogue.category.astype(str), settings["images_off"]))
    parts = parse_features(primary["feature"])
    names, numbers = category_numbers(catalogue.category)
    visual = vectors.arguments(parts, with_cosines=False)
    visual["categories"] = len(names) if settings["gates"] else 0
    ranker = Ranker(tables, primary["feature"], ranker=primary["ranker"], visual=visual)
    assert ranker.visual is not None
    ranker.visual.set_tables(**vectors.tables, categories=numbers)
    ranker.set_learned(read_weights(evaluation / "runs" / primary["run"]))
    rows = read_impressions(prepared, "test", tables.history)
    rows = rows.take(np.arange(min(_WARM_UP_ROWS, len(rows))))
    requests = requests_of(rows, catalogue.item_id)

    def ranking(folder: Path) -> None:
        export_ranker(ranker, tables, folder)
        write_warmup(folder, [_answered(folder, requests)], "ranker")

    writers = {"encoder": encoder, "ranker": ranking}
    published = publish_checked(writers, models, prepared, export)
    (out / "published.json").write_text(json.dumps(published, indent=1))


def _answered(folder: Path, inputs: dict[str, np.ndarray]) -> WarmupCall:
    call = tf.saved_model.load(str(folder)).signatures["serving_default"]
    answers = call(**{name: tf.constant(value) for name, value in inputs.items()})
    return WarmupCall(inputs, {name: value.numpy() for name, value in answers.items()})
