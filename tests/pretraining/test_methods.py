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


LEFT_OUT = {
    "no_click_sequence": {"click_sequence_weight": 0.0},
    "no_contrast": {
        "page_view_weight": 0.0, "click_sequence_weight": 0.0, "click_head_weight": 1.0
    },
    "no_reconstruction": {"reconstruction": "mean"},
    "self_attention": {"reconstruction": "self_attention"},
    "nearest": {"reconstruction": "nearest"},
    "no_unclicked": {"candidates": "clicked"},
    "hard_negatives": {"candidates": "unclicked"},
    "collapsed": {"candidates": "none"},
    "projection_head": {"projection_head": True},
    "learned_temperature": {"learned_temperature": True},
    "log_q": {"log_q": True},
    "memory_bank": {"memory_bank": 4096},
    "with_click_head": {"click_head_weight": 1.0},
    "paper_code": {"preset": "paper_code"},
}  # fmt: skip
"""As docs/recipes.md has it."""


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
        assert changed == {"batch_size": 12}  # of 96
    elif name in METHODS:
        assert changed == ({} if name == "courier" else {"method": name})
    else:
        assert changed == LEFT_OUT[name]


def test_every_ablation_has_its_row():
    assert {*LEFT_OUT, "small_pool"} == set(ABLATIONS)


def test_a_method_may_have_a_rate_of_its_own():
    base = replace(SETTINGS, compare=("simclr", "clip"), learning_rates={"simclr": 0.25})
    rates = {name: settings_of(name, base).learning_rate for name in ("courier", "simclr", "clip")}
    assert rates == {"courier": 1e-2, "simclr": 0.25, "clip": 1e-2}
    assert settings_of("simclr", base).learning_rates == {}


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


def test_what_is_counted_is_from_before_the_cut(prepared_shop):
    table = read_pages(prepared_shop)
    cut = int(np.median(table.timestamp))
    early = table.timestamp < cut
    assert 10 < early.sum() < len(early) - 10
    settings = replace(SETTINGS, log_q=True)
    model = build_model(settings, prepared_shop, cut)
    for column, counted in enumerate((table.shown[early], table.history[early, :1])):
        counts = np.maximum(np.bincount(counted[counted > 0], minlength=model.log_q.shape[0]), 1e-3)
        expected = np.log(counts / counts.sum())
        np.testing.assert_allclose(model.log_q[:, column], expected, rtol=1e-5)
    rates = []
    for given, pages_of in ((cut, early), (None, table.timestamp >= 0)):
        model = build_model(replace(SETTINGS, method="supervised"), prepared_shop, given)
        shown = table.shown[pages_of] > 0
        rates.append((table.clicked[pages_of].sum() + 1) / (shown.sum() + 2))
        expected = math.log(rates[-1] / (1 - rates[-1]))
        assert float(model.bias) == pytest.approx(expected, abs=1e-5)
    assert rates[0] != rates[1]


def test_clip_knows_words_from_before_the_cut(prepared_shop, monkeypatch):
    whole = methods.read_items

    def read_items(*arguments, **named):
        items = whole(*arguments, **named)
        title = np.array([f"word{i}" for i in range(len(items.item_id))], object)
        return replace(items, title=title, first_seen=np.arange(len(title)) - 1)

    monkeypatch.setattr(methods, "read_items", read_items)
    model = build_model(replace(SETTINGS, method="clip"), prepared_shop, 10)
    assert set(model.vocabulary) == {f"word{i}" for i in range(1, 11)}


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
        ({"weights": "/no.weights.h5"}, "^pretrain.weights: no file '/no.weights.h5' for encoder"),
        (
            {"weights": "/no.weights.h5", "encoder_arguments": {"gradient_checkpointing": True}},
            "^pretrain.weights: no file",
        ),
        ({"encoder_arguments": {"gradient_checkpointing": 3}}, "^pretrain.encoder_arguments: .*3"),
        ({"encoder": "swin_mikro"}, "^pretrain.encoder: unknown .*did you mean 'swin_micro'?"),
    ],
)
def test_the_right_setting_of_the_encoder_is_blamed(change, message):
    with pytest.raises(InputError, match=message):
        build_encoder(PretrainSettings(**{"encoder": "swin_micro", **change}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"preset": "code"}, "pretrain.preset: expected paper, paper_code, got 'code'"),
        ({"reconstruction": "max"}, "pretrain.reconstruction: expected attention, .*'max'"),
        ({"candidates": "few"}, "pretrain.candidates: expected all, .*'few'"),
        ({"memory_bank": -1}, "pretrain.memory_bank: expected 0 to 100000000, got -1"),
        ({"click_head_weight": -1.0}, "pretrain.click_head_weight: expected 0 to"),
        ({"page_view_weight": 0.0, "click_sequence_weight": 0.0}, "are all 0; set one above 0"),
        ({"head_learning_rate": 0.0}, "pretrain.head_learning_rate: expected 1e-12 to 100, got 0"),
        (
            {"preset": "paper_code", "learned_temperature": True},
            r"pretrain: learned_temperature \(true\) excludes .*paper_code.*; leave one",
        ),
        ({"preset": "paper_code", "candidates": "clicked"}, "pretrain: candidates 'clicked' ex"),
        ({"candidates": "none", "memory_bank": 5}, "pretrain: candidates 'none' excludes memory"),
        ({"candidates": "none", "log_q": True}, r"'none' excludes log_q \(true\)"),
        ({"candidates": "unclicked", "memory_bank": 5}, r"excludes memory_bank \(5\)"),
        (
            {"preset": "paper_code", "click_head_weight": 0.5},
            "pretrain.click_head_weight: expected 1 .*paper_code.*got 0.5",
        ),
        ({"learning_rates": {"clip": 0.1}}, "pretrain.learning_rates.clip: .* pretrain.compare"),
        (
            {"compare": ["clip"], "learning_rates": {"clip": -1.0}},
            "pretrain.learning_rates.clip: expected 1e-12 to 100, got -1.0",
        ),
        ({"seeds": {"clip": 2}}, "pretrain.seeds.clip: .* in pretrain.compare; known: courier"),
        ({"seeds": {"corier": 2}}, "pretrain.seeds.corier: .*; did you mean courier?"),
        ({"compare": ["imagenet"], "seeds": {"imagenet": 2}}, "pretrain.seeds.imagenet: expected"),
        ({"seeds": {"courier": 0}}, "pretrain.seeds.courier: expected at least 1, got 0"),
        ({"method": "clip", "compare": ["clip"]}, "pretrain.compare: clip is the method itself"),
        ({"compare": ["simlcr"]}, "unknown name 'simlcr'; did you mean simclr?"),
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
