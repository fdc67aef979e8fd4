"""Exports the models of a run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tfrec_vis.data import read_impressions, read_items, read_manifest
from tfrec_vis.data.items import read_pictures
from tfrec_vis.embeddings import Embeddings
from tfrec_vis.evaluation.cells import read_weights
from tfrec_vis.evaluation.rows import category_numbers
from tfrec_vis.pretraining import load
from tfrec_vis.ranking import RankerTables
from tfrec_vis.recipes import ExportSettings
from tfrec_vis.serving import RankerState
from tfrec_vis.workflow.built_ranker import build_ranker
from tfrec_vis.workflow.encoded import picture_size
from tfrec_vis.workflow.evaluated import read_vectors
from tfrec_vis.workflow.publishing import publish_checked
from tfrec_vis.workflow.writers import (
    Pictures,
    Writer,
    encoder_writer,
    ranker_writer,
    similar_writer,
)

_WARM_UP_ROWS = 16


def export_models(
    work: Path, method: str, models: Path, out: Path, settings: ExportSettings
) -> None:
    """Publishes the encoder, the neighbours' search, and the ranker of the report's primary row.

    Of the primary row's seeds the ranker is the first. All are checked before the first one is
    published: ``publish_checked``.

    Args:
        work: the work folder, with everything up to evaluation/ done.
        method: of the pre-training.
        models: where models are published.
        out: gets published.json, the versions' paths.
        settings: the recipe's ``export`` section.

    Raises:
        NotPublished: a model does not pass its checks.
    """
    prepared, evaluation = work / "prepared", work / "evaluation"
    report = json.loads((evaluation / "report.json").read_text())
    primary, chosen = report["primary"], report["settings"]["evaluate"]
    longest = read_manifest(prepared)["settings"]["max_history"]
    names, _ = category_numbers(read_items(prepared, pictures=False).category)
    state = RankerState(
        feature=primary["feature"],
        ranker=primary["ranker"],
        tables=RankerTables.build(prepared, min(chosen["history"], longest), chosen["min_count"]),
        learned=read_weights(evaluation / "runs" / primary["run"]),
        categories=names if chosen["gates"] else names[:0],
        images_off=np.array(chosen["images_off"], np.str_),
    )
    described = {name: chosen[name] for name in ("min_count", "gates", "images_off")}
    writers = export_writers(work, method, state, {"run": primary["run"], **described})
    published = publish_checked(writers, models, prepared, settings)
    (out / "published.json").write_text(json.dumps(published, indent=1))


def export_writers(
    work: Path, method: str, state: RankerState, described: Mapping[str, Any]
) -> dict[str, Writer]:
    """What writes "encoder", "ranker" and "similar", of the data and embeddings that are there.

    Args:
        work: the work folder, with everything up to embeddings/ done.
        method: of the pre-training.
        state: of the ranker.
        described: fields of the ranker's description.
    """
    prepared, embeddings = work / "prepared", work / "embeddings" / method
    manifest = read_manifest(prepared)
    count = manifest["item_count"]
    pictures = Pictures(
        load(work / "pretrain" / method),
        picture_size(work, method),
        Embeddings.read(embeddings),
        read_pictures(prepared, np.arange(1, 1 + min(count, _WARM_UP_ROWS))),
        manifest["settings"],
    )
    ranker = build_ranker(state, read_vectors(embeddings, prepared, "courier"), prepared)
    rows = read_impressions(prepared, "test", state.tables.history)
    rows = rows.take(np.arange(min(_WARM_UP_ROWS, len(rows))))
    fields = {**described, "embedding": method}
    ranking = ranker_writer(ranker, state.tables, rows, pictures, **fields)

    def ranking_with_state(folder: Path) -> None:
        ranking(folder)
        replace(state, learned=ranker.learned()).write(folder)

    return {
        "encoder": encoder_writer(pictures),
        "ranker": ranking_with_state,
        "similar": similar_writer(pictures),
    }
