"""What each stage reads, makes and depends on."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

import tf_keras as keras

from tfrec_vis import sources
from tfrec_vis.data import read_items
from tfrec_vis.embeddings import embed_features
from tfrec_vis.embeddings.external import vectors_of
from tfrec_vis.errors import InputError
from tfrec_vis.evaluation import Truth, check_truth, choose_pictures, print_table, render_report
from tfrec_vis.prepare import prepare
from tfrec_vis.prepare.options import PrepareOptions
from tfrec_vis.pretraining import (
    UNTRAINED,
    PretrainSettings,
    build_encoder,
    load,
    settings_of,
    train,
)
from tfrec_vis.recipes import Recipe
from tfrec_vis.sources.files import identity
from tfrec_vis.workflow.encoded import Encoded, picture_size, print_summary
from tfrec_vis.workflow.evaluated import check_semantic_ids, evaluate, read_vectors, trainings
from tfrec_vis.workflow.export import export_models
from tfrec_vis.workflow.keep_appended import keep_appended
from tfrec_vis.workflow.stage import Stage


def build_stages(
    recipe: Recipe,
    work: Path,
    preparation: PrepareOptions | None = None,
    profile: bool = False,
) -> list[Stage]:
    """All stages of a recipe in order; several of them may be called "embed"."""
    options = preparation or PrepareOptions()
    source = sources.create(recipe.source, str(recipe.folder))
    check_truth(recipe.evaluate)
    check_semantic_ids(recipe)
    prepared = Stage(
        "prepare",
        work / "prepared",
        [recipe.source, asdict(replace(recipe.prepare, passes=1)), _identity(source.files())],
        [],
        lambda out: _prepare(recipe, out, work / "prepared", options),
        guard=lambda: None if options.append else keep_appended(work / "prepared"),
    )
    run = recipe.pretrain
    trained = {
        folder: _pretrain_stage(folder, settings_of(name, run, repeat), work, prepared, profile)
        for folder, (name, repeat) in trainings(run).items()
    }
    embeddings = _embed_stages(recipe, work, prepared, trained)
    evaluated = Stage(
        "evaluate",
        work / "evaluation",
        [asdict(recipe.evaluate), _truth_identity(recipe)],
        [prepared, *trained.values(), *embeddings],
        lambda out: evaluate(recipe, prepared.folder, [s.folder for s in embeddings], out),
        resumable=True,
        keeps="runs",
    )
    models = models_folder(recipe, work)
    exported = Stage(
        "export",
        work / "exported",
        str(models.resolve()),
        [prepared, *trained.values(), *embeddings, evaluated],
        lambda out: export_models(work, run.method, models, out, recipe.export),
    )
    return [prepared, *trained.values(), *embeddings, evaluated, exported]


def _pretrain_stage(
    name: str, run: PretrainSettings, work: Path, prepared: Stage, profile: bool
) -> Stage:
    """One pre-training, kept in pretrain/NAME."""
    if run.devices == "workers":
        raise InputError(
            "pretrain.devices: expected one or mirrored, got workers; tfrec-vis is one process: "
            "run pipelines/pretrain_workers.py in each (docs/devices.md)"
        )

    def make(out: Path) -> None:
        # Many trainings one after the other must not pile up their graphs.
        keras.backend.clear_session()
        train(prepared.folder, out, run, work / "logs" / name, profile)

    chosen = asdict(replace(run, checkpoint_seconds=0))
    del chosen["seeds"]  # how many there are changes none of them
    return Stage(
        "pretrain",
        work / "pretrain" / name,
        {**chosen, "weights": _weights_identity(run.weights)},
        [prepared],
        make,
        resumable=True,
    )


def models_folder(recipe: Recipe, work: Path) -> Path:
    """Where the recipe's models are published."""
    return Path(recipe.export.path) if recipe.export.path else work / "saved_models"


def write_report(work: Path, stages: Sequence[Stage]) -> None:
    """Writes report.json and report.html into the work folder and prints the table."""
    evaluated = next(stage for stage in stages if stage.name == "evaluate")
    report = json.loads((evaluated.folder / "report.json").read_text())
    seconds: dict[str, float] = {}
    for stage in stages:
        if stage.seconds:
            seconds[stage.name] = round(seconds.get(stage.name, 0.0) + stage.seconds, 1)
    report["cost"] = {
        "seconds": seconds,
        "parts": {
            f"{stage.name}/{stage.folder.name}": stage.seconds
            for stage in stages
            if stage.name in ("pretrain", "embed") and stage.seconds
        },
        "peak_memory_mb": max(stage.peak_memory_mb for stage in stages),
    }
    prepared = next(stage for stage in stages if stage.name == "prepare").folder
    # The recipe's own method comes before those it is compared with.
    method = next(stage for stage in stages if stage.name == "pretrain").folder
    embedding = read_vectors(work / "embeddings" / method.name, prepared, "courier")
    image_size = picture_size(work, method.name)
    gallery = choose_pictures(
        prepared,
        embedding.vectors,
        load(method),
        image_size,
        method.name,
        embedding.clusters,
        evaluated.folder / "predictions.parquet",
        report["primary"],
    )
    beside = work / "report.json.partial"
    beside.write_text(json.dumps(report, indent=1))
    os.replace(beside, work / "report.json")
    render_report(report, gallery, work / "report.html")
    print_table(report)
    print(f"report: {work / 'report.html'} and {work / 'report.json'}", flush=True)


def _prepare(recipe: Recipe, out: Path, existing: Path, options: PrepareOptions) -> None:
    source = sources.create(recipe.source, str(recipe.folder))
    append_to = existing if options.append else None
    manifest = prepare(source, out, recipe.prepare, options.beam, append_to, options.cuts)
    for what in ("interactions", "items"):
        print(f"  {what}: {_counts(manifest[what])}", flush=True)
    first, last = (datetime.fromtimestamp(t, timezone.utc) for t in manifest["period"])
    print(f"  the log runs from {first:%Y-%m-%d %H:%M:%S} to {last:%Y-%m-%d %H:%M:%S} UTC")
    if same := manifest["items"]["identical_images"]["items"]:
        print(f"  {same} items share their photo with another item", flush=True)


def _counts(numbers: dict[str, Any]) -> str:
    rejected = ", ".join(f"{n} {reason}" for reason, n in numbers["rejected"].items()) or "none"
    return (
        f"{numbers['read']} read, {numbers['kept']} kept, {numbers['merged']} merged; "
        f"rejected: {rejected}"
    )


def _embed_stages(
    recipe: Recipe, work: Path, prepared: Stage, trained: dict[str, Stage]
) -> list[Stage]:
    """The pre-trained embeddings, those of encoders before, and those from elsewhere."""
    run, settings = recipe.pretrain, recipe.embed

    def stage(name: str, inputs: Any, needs: list[Stage], make: Callable[[Path], None]) -> Stage:
        chosen = asdict(replace(settings, external={}))
        return Stage("embed", work / "embeddings" / name, [chosen, inputs], needs, make)

    def encoded(name: str, encoder: Callable[[], Any]) -> Encoded:
        folder = work / "embeddings" / name
        size = settings.image_size or run.image_size
        return Encoded(folder, encoder, prepared.folder, size, settings)

    def external(path: str, out: Path) -> None:
        item_ids = read_items(prepared.folder, pictures=False).item_id[1:]
        fingerprint = f"external:{_identity([path])}"
        vectors = vectors_of(path, item_ids)
        made = embed_features(vectors, prepared.folder, settings, fingerprint)
        made.write(out)
        print_summary(made.metadata)

    def untrained(name: str) -> Stage:
        before = settings_of(name, run) if name in UNTRAINED else run
        return stage(
            name,
            [
                run.encoder,
                run.encoder_arguments,
                _weights_identity(before.weights),
                run.image_size,
                run.seed,
            ],
            [prepared],
            encoded(name, lambda: build_encoder(before)),
        )

    def pretrained(name: str, made: Stage) -> Stage:
        return stage(name, None, [prepared, made], encoded(name, lambda: load(made.folder)))

    stages = [pretrained(name, made) for name, made in trained.items()]
    before = dict.fromkeys((baseline_name(recipe), *run.compare))
    stages += [untrained(name) for name in before if name not in trained]
    others = dict(settings.external)
    if recipe.evaluate.truth is not None:
        others["truth"] = str(Truth(recipe.evaluate.truth).embedding)
    for name, path in others.items():
        if name in (s.folder.name for s in stages):
            raise InputError(f"embed.external: the name {name} is taken; choose another")
        if not Path(path).is_file():
            raise InputError(f"embed.external.{name}: no file {path}")
        stages.append(stage(name, _identity([path]), [prepared], partial(external, path)))
    return stages


def baseline_name(recipe: Recipe) -> str:
    """What the encoder before pre-training is called in the report."""
    from tfrec_vis import encoders

    weights = recipe.pretrain.weights
    if weights == "auto":
        try:
            known = encoders.weight_sets(recipe.pretrain.encoder)
        except ValueError as error:
            raise InputError(f"pretrain.encoder: {error}") from error
        weights = "imagenet" if "imagenet" in known else "random"
    return weights if weights in ("imagenet", "random") else "initial"


def _weights_identity(weights: str) -> Any:
    """The name of known weights, or what tells a file of them from another."""
    return _identity([weights]) if Path(weights).is_file() else weights


def _truth_identity(recipe: Recipe) -> list[Any]:
    if recipe.evaluate.truth is None:
        return []
    return _identity([str(Truth(recipe.evaluate.truth).probabilities)])


def _identity(files: Sequence[str]) -> list[Any]:
    """Name, size and time of change of each file."""
    return [identity(file) for file in files]
