from __future__ import annotations

import importlib
import json
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
from tfrec_vis.pretraining.curves import Curves

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
    files = sorted(path.name for path in (folder / "out").iterdir())
    assert files == ["model.keras", "settings.json", "training.json"]
    settings = json.loads((folder / "out/settings.json").read_text())
    assert PretrainSettings(**settings) == SETTINGS
    again = load(folder / "out")
    assert_equal_weights(model, again)
    assert int(model.optimizer.iterations) == 2 * STEPS


def read_events(logs):
    """(tag, step) -> value of all summaries, and the steps of each tag in order."""
    values, steps = {}, {}
    for events in sorted(logs.glob("events*")):
        for event in tf.compat.v1.train.summary_iterator(str(events)):
            for value in event.summary.value:
                steps.setdefault(value.tag, []).append(event.step)
                values[value.tag, event.step] = tf.make_ndarray(value.tensor)
    return values, steps


def test_curves_hold_every_step(unbroken):
    values, steps = read_events(unbroken[0] / "logs")
    every = list(range(1, 2 * STEPS + 1))
    assert {*MEASURES, "learning_rate", "gradient_norm"} <= {t for t in steps if steps[t] == every}
    for at in every:
        parts = values["page_view_contrast", at] + values["click_sequence_contrast", at]
        assert values["loss", at] == pytest.approx(parts, abs=1e-3)
        assert 1 <= values["effective_rank", at] <= 6
        assert values["gradient_norm", at] > 0
    rates = [float(values["learning_rate", at]) for at in every]
    # A warm-up of one step, then a cosine over the nine others.
    assert rates[0] == pytest.approx(1e-2)
    cosine = [1e-2 * (1 + np.cos(np.pi * i / 9)) / 2 for i in range(9)]
    assert rates[1:] == pytest.approx(cosine, rel=1e-5)


def test_examples_of_every_epoch(unbroken):
    values, steps = read_events(unbroken[0] / "logs")
    for tag in ("anchor_positive_cosine", "anchor_negative_cosine"):
        assert steps[tag] == [STEPS, 2 * STEPS]
        buckets = values[tag, STEPS]  # left edge, right edge, count
        assert buckets[:, 2].sum() >= 10 and -1.001 <= buckets[0, 0] <= buckets[-1, 1] <= 1.001
    assert steps["intention"] == [STEPS, 2 * STEPS]
    width, height, picture = values["intention", STEPS]
    decoded = tf.io.decode_png(picture)
    assert decoded.shape == [int(height), int(width), 3]
    assert len(np.unique(decoded)) > 50


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
    steps = [3, STEPS + 2, 2 * STEPS]
    kill_at(monkeypatch, steps)
    for _ in steps:
        with pytest.raises(Killed):
            train(prepared_shop, tmp_path / "out", SETTINGS, tmp_path / "logs")
        assert not (tmp_path / "out" / "model.keras").exists()
    model = train(prepared_shop, tmp_path / "out", SETTINGS, tmp_path / "logs")
    assert int(model.optimizer.iterations) == 2 * STEPS
    assert_equal_weights(unbroken[1], model)
    assert not (tmp_path / "out" / "checkpoints").exists()
    # So are the record and the values of single batches, taken off the means of epochs.
    one, two = (folder / "out/training.json" for folder in (unbroken[0], tmp_path))
    assert one.read_text() == two.read_text()
    curves, again = (read_events(folder / "logs")[0] for folder in (unbroken[0], tmp_path))
    for name in MEASURES:
        for step in range(1, 2 * STEPS + 1):
            assert again[name, step] == curves[name, step]


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
        ({"method": "moco"}, "pretrain.method: expected courier, .*clip.*, got 'moco'"),
        ({"encoder": "tine"}, "pretrain.encoder: unknown encoder 'tine'; did you mean 'tiny'"),
        ({"weights": "imagenet"}, "pretrain.weights: no weights 'imagenet' for encoder 'tiny'"),
        ({"encoder_arguments": {"depth": 3}}, "pretrain.encoder_arguments: .*argument 'depth'"),
        ({"encoder_arguments": {"weights": 1}}, "pretrain.encoder_arguments: .*values for .*'weig"),
        ({"schedule": "linear"}, "pretrain.schedule: expected constant, cosine, got 'linear'"),
        ({"embedding_dim": 32}, "pretrain.embedding_dim: expected features of at least 32"),
    ],
)
def test_settings_that_cannot_work(prepared_shop, tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        train(prepared_shop, tmp_path / "out", replace(SETTINGS, **change), tmp_path / "logs")
    assert not (tmp_path / "out" / "model.keras").exists()


def test_load_of_no_training(tmp_path):
    with pytest.raises(InputError, match=r"nosuch/model\.keras: no such file; name the folder"):
        load(tmp_path / "nosuch")
