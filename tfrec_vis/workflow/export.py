"""Exports the models of a run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tfrec_vis.data import read_impressions, read_items, read_manifest
from tfrec_vis.data.items import read_pictures
from tfrec_vis.embeddings import Embeddings
from tfrec_vis.evaluation.cells import read_weights
from tfrec_vis.evaluation.rows import category_numbers
from tfrec_vis.pretraining import load
from tfrec_vis.ranking import Ranker, RankerTables, parse_features
from tfrec_vis.serving import publish
from tfrec_vis.workflow.encoded import picture_size
from tfrec_vis.workflow.evaluated import read_vectors
from tfrec_vis.workflow.writers import Pictures, encoder_writer, ranker_writer, similar_writer

_WARM_UP_ROWS = 16


def export_models(work: Path, method: str, models: Path, out: Path) -> None:
    """Publishes the encoder, the neighbours' search, and the ranker of the report's primary row.

    Of the primary row's seeds the ranker is the first.

    Args:
        work: the work folder, with everything up to evaluation/ done.
        method: of the pre-training.
        models: where models are published.
        out: gets published.json, the versions' paths.
    """
    prepared, evaluation = work / "prepared", work / "evaluation"
    catalogue = read_items(prepared, pictures=False)
    first = np.arange(1, min(len(catalogue), 1 + _WARM_UP_ROWS))
    pictures = Pictures(
        load(work / "pretrain" / method),
        picture_size(work, method),
        Embeddings.read(work / "embeddings" / method),
        read_pictures(prepared, first),
    )

    report = json.loads((evaluation / "report.json").read_text())
    primary, settings = report["primary"], report["settings"]["evaluate"]
    tables = RankerTables.build(
        prepared,
        min(settings["history"], read_manifest(prepared)["settings"]["max_history"]),
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

    kept = {name: settings[name] for name in ("min_count", "gates", "images_off")}
    writers = {
        "encoder": encoder_writer(pictures),
        "ranker": ranker_writer(
            ranker, tables, rows, pictures, embedding=method, run=primary["run"], **kept
        ),
        "similar": similar_writer(pictures),
    }
    published = {}
    for name, write in writers.items():
        published[name] = str(publish(write, models, name))
        print(f"  {name}: {published[name]}", flush=True)
    (out / "published.json").write_text(json.dumps(published, indent=1))
