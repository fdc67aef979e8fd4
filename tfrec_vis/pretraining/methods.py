"""From the settings of a pre-training to its model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tf_keras as keras

from tfrec_vis import encoders
from tfrec_vis.data import read_items, read_manifest, read_pages
from tfrec_vis.errors import InputError
from tfrec_vis.pretraining.clip import CLIP, title_words
from tfrec_vis.pretraining.courier import Courier
from tfrec_vis.pretraining.model import PretrainingModel
from tfrec_vis.pretraining.names import ABLATIONS, RELEASED, SMALL_POOL, UNTRAINED
from tfrec_vis.pretraining.settings import PretrainSettings
from tfrec_vis.pretraining.simclr import SimCLR
from tfrec_vis.pretraining.simsiam import SimSiam
from tfrec_vis.pretraining.supervised import Supervised


def build_encoder(settings: PretrainSettings) -> keras.Model:
    """The encoder before pre-training, with the weights that the settings' seed gives."""
    keras.utils.set_random_seed(settings.seed)
    blamed = "encoder"
    try:
        known = encoders.weight_sets(settings.encoder)
        weights = settings.weights if settings.weights != "random" else None
        if weights == "auto":
            weights = "imagenet" if "imagenet" in known else None
        arguments = settings.encoder_arguments
        if arguments:
            blamed = "encoder_arguments"
        return encoders.get(settings.encoder, weights, settings.freeze_bn, **arguments)
    except (TypeError, ValueError) as error:
        if isinstance(error, encoders.WeightsError):
            blamed = "weights"
        reason = " ".join(str(error).split())
        raise InputError(f"pretrain.{blamed}: {reason}") from error


def build_model(
    settings: PretrainSettings, prepared: str | Path, cut: int | None = None
) -> PretrainingModel:
    """The model of ``settings.method`` before training.

    Args:
        settings: of the pre-training.
        prepared: folder that ``prepare`` wrote.
        cut: what a method knows of the data beforehand (words of titles, how often items are
            shown and clicked) comes from before this time, such as ``holdout_cut``; None: from
            before the first cut of ``prepared``, that is from all pages of pre-training.
    """
    cut = read_manifest(prepared)["cuts"][0] if cut is None else cut
    keras.mixed_precision.set_global_policy(settings.mixed_precision or "float32")
    try:
        encoder = build_encoder(settings)
        common: dict[str, Any] = {
            "embedding_dim": settings.embedding_dim,
            "micro_batch": settings.micro_batch,
        }
        chunks: dict[str, Any] = {**common, "chunk_size": settings.chunk_size}
        if settings.method == "simclr":
            return SimCLR(encoder, **chunks, seed=settings.seed)
        if settings.method == "simsiam":
            return SimSiam(encoder, **common, seed=settings.seed)
        if settings.method == "clip":
            return CLIP(encoder, **chunks, vocabulary=_words(prepared, cut))
        if settings.method == "supervised":
            return Supervised(encoder, **common, click_rate=_click_rate(prepared, cut))
        return _courier(settings, encoder, prepared, cut)
    finally:
        keras.mixed_precision.set_global_policy("float32")


def settings_of(name: str, settings: PretrainSettings, repeat: int = 0) -> PretrainSettings:
    """The settings of one of ``settings.method`` and ``settings.compare``.

    A method replaces ``method``, an ablation what it leaves out of COURIER, "random" and
    "imagenet" the weights, ``learning_rates`` the rate; all else is the same for all.

    Args:
        name: of the method, ablation or untrained encoder.
        settings: of the recipe.
        repeat: which of its trainings (``settings.seeds``), from 0; it is added to the seed.
    """
    rate = settings.learning_rates.get(name, settings.learning_rate)
    alone = replace(
        settings,
        compare=(),
        learning_rates={},
        learning_rate=rate,
        seeds={},
        seed=settings.seed + repeat,
    )
    if name in UNTRAINED:
        return replace(alone, weights=name)
    if name == "small_pool":
        alone = replace(alone, batch_size=max(settings.batch_size // SMALL_POOL, 1))
    if name in ABLATIONS:
        return replace(alone, method="courier", **ABLATIONS[name])
    return replace(alone, method=name)


def is_released(settings: PretrainSettings) -> bool:
    """Whether this is COURIER as its released code trains it."""
    return settings.method == "courier" and settings.preset == "paper_code"


def _courier(
    settings: PretrainSettings, encoder: keras.Model, prepared: str | Path, cut: int
) -> Courier:
    released = is_released(settings)
    items = read_manifest(prepared)["item_count"] + 1
    model = Courier(
        encoder,
        settings.embedding_dim,
        settings.num_heads,
        settings.project_values or released,
        settings.temperature,
        settings.micro_batch,
        chunk_size=settings.chunk_size,
        reconstruction=settings.reconstruction,
        page_view_weight=settings.page_view_weight,
        click_sequence_weight=settings.click_sequence_weight,
        click_head_weight=1.0 if released else settings.click_head_weight,
        candidates=settings.candidates,
        learned_temperature=settings.learned_temperature,
        memory_bank=settings.memory_bank,
        item_counts=(items, 2) if settings.log_q else None,
        projection_head=settings.projection_head,
        click_head_norm="batch" if released else "layer",
        released=RELEASED if released else (),
    )
    if settings.log_q:
        pages = read_pages(prepared)
        early = pages.timestamp < cut
        columns = (pages.shown[early].ravel(), pages.history[early, 0])
        counts = [np.bincount(column[column > 0], minlength=items) for column in columns]
        model.set_item_counts(np.stack(counts, axis=1))
    return model


def _click_rate(prepared: str | Path, cut: int) -> float:
    """The share of clicked ones among the items shown before ``cut``, between 0 and 1."""
    pages = read_pages(prepared)
    early = pages.timestamp < cut
    shown, clicked = (pages.shown[early] > 0).sum(), (pages.clicked[early] == 1).sum()
    return float(clicked + 1) / float(shown + 2)


def _words(prepared: str | Path, cut: int) -> list[str]:
    """The words in titles of items first seen before ``cut``."""
    catalogue = read_items(prepared, pictures=False)
    early = (catalogue.first_seen >= 0) & (catalogue.first_seen < cut)
    if words := title_words(catalogue.title[early]):
        return words
    raise InputError(
        f"{prepared}: clip needs titles, and no item seen in pre-training has one; name the "
        "column in source.catalogue.columns (title), or leave clip out of pretrain.method and "
        "pretrain.compare"
    )
