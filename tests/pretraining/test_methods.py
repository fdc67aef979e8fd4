"""From names and settings to models; a method that draws views, killed and taken up."""

from __future__ import annotations

import datetime
import importlib
import math
from collections import Counter
from dataclasses import asdict, replace

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import config
from tiny_encoder import tiny_encoder

from tfrec_vis.data import pages, read_pages
from tfrec_vis.encoders import registry
from tfrec_vis.errors import InputError
from tfrec_vis.pretraining import (
    ABLATIONS,
    METHODS,
    UNTRAINED,
    PretrainSettings,
    build_encoder,
    build_model,
    load,
    settings_of,
    train,
)
from tfrec_vis.pretraining.curves import Curves
from tfrec_vis.pretraining.names import RELEASED
from tfrec_vis.pretraining.optimizer import build_optimizer

methods = importlib.import_module("tfrec_vis.pretraining.methods")

SETTINGS = PretrainSettings(
    encoder="tiny",
    embedding_dim=6,
    num_heads=2,
    temperature=0.3,
    epochs=1,
    batch_size=96,
    micro_batch=None,
    learning_rate=1e-2,
    checkpoint_seconds=0,
)


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(registry._ENCODERS, "tiny", (tiny_encoder, ()))


def build(prepared, name="courier", **changes):
    return build_model(settings_of(name, replace(SETTINGS, **changes)), prepared)


@pytest.mark.parametrize("name", [*METHODS, *ABLATIONS, *UNTRAINED])
def test_a_name_replaces_its_settings_alone(name):
    """All else, the budget above all, is the same."""
    base = replace(SETTINGS, compare=("simclr",))
    changed = {
        key: value
        for key, value in asdict(settings_of(name, base)).items()
        if value != asdict(base)[key]
    }
    assert changed.pop("compare") == ()
    if name in UNTRAINED:
        assert changed == {"weights": name}
    elif name == "small_pool":
        assert changed == {"batch_size": 12}
    elif name in ABLATIONS:
        assert changed == ABLATIONS[name]
    else:
        assert changed == ({} if name == "courier" else {"method": name})
    assert "epochs" not in changed and "learning_rate" not in changed


def test_an_ablation_is_of_courier_whatever_the_method():
    assert settings_of("no_contrast", replace(SETTINGS, method="simclr")).method == "courier"


@pytest.mark.parametrize("name", [*METHODS, *ABLATIONS])
def test_every_name_builds_and_measures(prepared_shop, name):
    model = build(prepared_shop, name)
    batch = next(iter(pages(prepared_shop, batch_size=16, titles=True)))
    model.compile(optimizer="sgd")
    measures = model.test_step(batch)
    assert set(measures) >= {"loss", "mean_pairwise_cosine", "effective_rank"}
    assert all(math.isfinite(float(value)) for value in measures.values())


def test_presets(prepared_shop):
    paper = build(prepared_shop)
    assert paper.released == () and not paper.project_values
    assert paper.measures == (
        "loss", "page_view_contrast", "click_sequence_contrast", "attention_entropy"
    )  # fmt: skip
    code = build(prepared_shop, "paper_code")
    assert code.released == RELEASED and code.project_values
    assert code.click_head.normalization == "batch"
    assert code.loss_weights["click_cross_entropy"] == 1.0
    for name, coupled in (("courier", False), ("paper_code", True), ("simclr", False)):
        settings = replace(SETTINGS, preset="paper", weight_decay=0.25)
        optimizer = build_optimizer(settings_of(name, settings), steps=10)
        decays = (optimizer.weight_decay, optimizer.l2)
        assert decays == ((0.0, 0.25) if coupled else (0.25, 0.0))


def test_log_q_counts_pages(prepared_shop):
    model = build(prepared_shop, log_q=True)
    table = read_pages(prepared_shop)
    shown = Counter(item for row in table.shown.tolist() for item in row if item)
    newest = Counter(row[0] for row in table.history.tolist() if row[0])
    for column, counts in enumerate((shown, newest)):
        assert len(counts) > 20
        for item, count in counts.items():
            expected = math.log(count / sum(counts.values()))
            assert float(model.log_q[item, column]) == pytest.approx(expected, abs=1e-3)


def test_clip_knows_words_from_before_the_first_cut(prepared_shop, monkeypatch):
    whole = methods.read_items

    def read_items(*arguments, **named):
        items = whole(*arguments, **named)
        title = np.array([f"early{i}" for i in range(len(items.item_id))], object)
        first_seen = np.where(np.arange(len(title)) % 2 == 0, items.first_seen.max(), 0)
        return replace(items, title=title, first_seen=first_seen)

    monkeypatch.setattr(methods, "read_items", read_items)
    words = build(prepared_shop, "clip").vocabulary
    assert set(words) == {f"early{i}" for i in range(1, 61, 2)}


def test_clip_without_titles_is_refused(prepared_shop, monkeypatch):
    whole = methods.read_items

    def read_items(*arguments, **named):
        items = whole(*arguments, **named)
        return replace(items, title=np.full(len(items.item_id), "", object))

    monkeypatch.setattr(methods, "read_items", read_items)
    with pytest.raises(InputError, match="clip needs titles, .*source.catalogue.columns"):
        build(prepared_shop, "clip")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"preset": "code"}, "pretrain.preset: expected paper, paper_code, got 'code'"),
        ({"reconstruction": "max"}, "pretrain.reconstruction: expected attention, .*'max'"),
        ({"candidates": "few"}, "pretrain.candidates: expected all, .*'few'"),
        ({"memory_bank": -1}, "pretrain.memory_bank: expected 0 to"),
        ({"click_head_weight": -1.0}, "pretrain.click_head_weight: expected 0 to"),
        ({"page_view_weight": 0.0, "click_sequence_weight": 0.0}, "are all 0; set one above 0"),
        ({"compare": ["moco"]}, "pretrain.compare: unknown name 'moco'; known: simclr, "),
    ],
)
def test_settings_that_cannot_work(change, message):
    with pytest.raises(InputError, match=message):
        replace(SETTINGS, **change)


class Killed(Exception):
    pass


def test_views_go_on_where_a_killed_training_was(prepared_shop, tmp_path, monkeypatch):
    tf.config.experimental.enable_op_determinism()
    try:
        settings = replace(SETTINGS, method="simclr", micro_batch=32, batch_size=120)
        unbroken = train(prepared_shop, tmp_path / "one", settings, tmp_path / "logs")
        whole = Curves.on_train_batch_end

        def on_train_batch_end(self, batch, logs=None):
            whole(self, batch, logs)
            if int(self.model.optimizer.iterations) == 3:
                raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(Curves, "on_train_batch_end", on_train_batch_end)
            with pytest.raises(Killed):
                train(prepared_shop, tmp_path / "two", settings, tmp_path / "logs")
        train(prepared_shop, tmp_path / "two", settings, tmp_path / "logs")
    finally:
        config.disable_op_determinism()
    again = load(tmp_path / "two")
    for part in ("encoder", "output_layer", "projector"):
        weights = (getattr(model, part).get_weights() for model in (unbroken, again))
        for one, two in zip(*weights, strict=True):
            np.testing.assert_array_equal(one, two)


def test_arguments_reach_the_encoder():
    arguments = {"gradient_checkpointing": True}
    encoder = build_encoder(PretrainSettings(encoder="swin_micro", encoder_arguments=arguments))
    blocks = [layer for layer in encoder.layers if hasattr(layer, "gradient_checkpointing")]
    assert blocks and all(block.gradient_checkpointing for block in blocks)
    with pytest.raises(InputError, match="pretrain.encoder_arguments: expected numbers, texts and"):
        PretrainSettings(encoder_arguments={"since": datetime.date(2024, 1, 1)})
