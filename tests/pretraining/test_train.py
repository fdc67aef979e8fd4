from __future__ import annotations

import importlib
import sys
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import config
from tiny_encoder import tiny_encoder

from tfrec_vis.encoders import registry
from tfrec_vis.errors import InputError
from tfrec_vis.pretraining import PretrainSettings, load, train
from tfrec_vis.pretraining.callbacks import Curves, _print

training = importlib.import_module("tfrec_vis.pretraining.train")

SETTINGS = PretrainSettings(
    encoder="tiny",
    embedding_dim=6,
    num_heads=2,
    temperature=0.3,
    epochs=2,
    batch_size=96,
    micro_batch=None,
    learning_rate=1e-2,
    checkpoint_seconds=0,
)
MEASURES = (
    "loss",
    "page_view_contrast",
    "click_sequence_contrast",
    "attention_entropy",
    "mean_pairwise_cosine",
    "effective_rank",
)
STEPS = 5  # in an epoch of the small shop


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """The registry knows the tiny encoder, and operations are deterministic."""
    monkeypatch.setitem(registry._ENCODERS, "tiny", (tiny_encoder, ()))
    tf.config.experimental.enable_op_determinism()
    yield
    config.disable_op_determinism()


@pytest.fixture(scope="module")
def unbroken(prepared_shop, tmp_path_factory):
    """A training from start to end: folder and weights."""
    folder = tmp_path_factory.mktemp("unbroken")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registry._ENCODERS, "tiny", (tiny_encoder, ()))
        model = train(prepared_shop, folder / "out", SETTINGS, folder / "logs")
    return folder, model


def assert_equal_weights(one, two):
    """Bit for bit; a model's own weights hold the epoch's means, too, which do not matter."""
    for part in ("encoder", "output_layer", "reconstruction"):
        weights = getattr(one, part).get_weights(), getattr(two, part).get_weights()
        assert weights[0]
        for a, b in zip(*weights, strict=True):
            np.testing.assert_array_equal(a, b)


def test_trains_and_saves(unbroken):
    folder, model = unbroken
    assert [path.name for path in (folder / "out").iterdir()] == ["model.keras"]
    again = load(folder / "out")
    assert_equal_weights(model, again)
    assert int(model.optimizer.iterations) == 2 * STEPS


def test_curves_hold_every_step(unbroken):
    events = next((unbroken[0] / "logs").glob("events*"))
    steps: dict[str, list[int]] = {}
    values = {}
    for event in tf.compat.v1.train.summary_iterator(str(events)):
        for value in event.summary.value:
            steps.setdefault(value.tag, []).append(event.step)
            values[value.tag, event.step] = float(tf.make_ndarray(value.tensor))
    assert steps["loss"] == list(range(1, 2 * STEPS + 1))
    assert {"mean_pairwise_cosine", "effective_rank", "attention_entropy"} < set(steps)
    for at in steps["loss"]:
        parts = values["page_view_contrast", at] + values["click_sequence_contrast", at]
        assert values["loss", at] == pytest.approx(parts, abs=1e-3)
        assert 1 <= values["effective_rank", at] <= 6


class Killed(Exception):
    pass


def kill_at(monkeypatch, steps):
    """Raises when one of these optimizer steps is done but not yet kept."""
    left = set(steps)
    whole = Curves.on_train_batch_end

    def on_train_batch_end(self, batch, logs=None):
        whole(self, batch, logs)
        step = int(self.model.optimizer.iterations)
        if step in left:
            left.remove(step)
            raise Killed

    monkeypatch.setattr(Curves, "on_train_batch_end", on_train_batch_end)


def test_interrupted_and_resumed_equals_unbroken(prepared_shop, unbroken, tmp_path, monkeypatch):
    steps = [3, STEPS + 1, 2 * STEPS]
    kill_at(monkeypatch, steps)
    for _ in steps:
        with pytest.raises(Killed):
            train(prepared_shop, tmp_path / "out", SETTINGS, tmp_path / "logs")
        assert not (tmp_path / "out" / "model.keras").exists()
    model = train(prepared_shop, tmp_path / "out", SETTINGS, tmp_path / "logs")
    assert int(model.optimizer.iterations) == 2 * STEPS
    assert_equal_weights(unbroken[1], model)
    assert not (tmp_path / "out" / "checkpoints").exists()


def test_pages_that_carry_their_pictures(embedded_shop, tmp_path, monkeypatch):
    """No catalogue with all its pictures is read."""
    read, asked = training.read_items, []

    def read_items(*arguments, pictures=True):
        asked.append(pictures)
        return read(*arguments, pictures=pictures)

    monkeypatch.setattr(training, "read_items", read_items)
    monkeypatch.setattr(sys.modules["tfrec_vis.data.pages"], "read_items", read_items)
    settings = replace(SETTINGS, epochs=1)
    model = train(embedded_shop, tmp_path / "out", settings, tmp_path / "logs")
    assert int(model.optimizer.iterations) == STEPS
    assert asked == [False]


def test_killed_while_saving_the_model(prepared_shop, unbroken, tmp_path, monkeypatch):
    def killed(*_, **__):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(training.PretrainingModel, "save", killed)
        with pytest.raises(Killed):
            train(prepared_shop, tmp_path / "out", SETTINGS, tmp_path / "logs")
    model = train(prepared_shop, tmp_path / "out", SETTINGS, tmp_path / "logs")
    assert_equal_weights(unbroken[1], model)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "simsiam"}, "pretrain.method: expected courier, got 'simsiam'"),
        ({"encoder": "tine"}, "pretrain.encoder.*unknown encoder 'tine'; did you mean 'tiny'"),
        ({"weights": "imagenet"}, "pretrain.weights: no weights 'imagenet' for encoder 'tiny'"),
        ({"schedule": "linear"}, "pretrain.schedule: expected constant, cosine, got 'linear'"),
        ({"embedding_dim": 32}, "pretrain.embedding_dim: expected features of at least 32"),
    ],
)
def test_settings_that_cannot_work(prepared_shop, tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        train(prepared_shop, tmp_path / "out", replace(SETTINGS, **change), tmp_path / "logs")
    assert not (tmp_path / "out" / "model.keras").exists()


def test_progress_fits_a_terminal(capsys):
    measures = {name: 12.34567 for name in MEASURES}
    _print("epoch 12 step 1234567", measures)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and max(map(len, lines)) <= 100
    assert lines[1].startswith("    ")
    told = "  ".join(line.strip() for line in lines).split("  ")
    assert told == ["epoch 12 step 1234567", *(f"{name} 12.346" for name in measures)]
