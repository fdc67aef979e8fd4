"""SimCLR, SimSiam, CLIP and supervised: losses by loops, steps, saving."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from tiny_encoder import tiny_encoder

from tfrec_vis.data import pages
from tfrec_vis.pretraining import CLIP, SimCLR, SimSiam, Supervised
from tfrec_vis.pretraining.clip import title_words

WIDTH = 6
TITLES = ["red shoe", "", "blue shoe", "Red  Shoe", "red shoe", "unheard", "  "]
OPTIONS = {
    SimCLR: {"hidden": 10, "projection": 5, "seed": 7},
    SimSiam: {"hidden": 10, "bottleneck": 4, "seed": 7},
    CLIP: {"vocabulary": ["shoe", "red", "blue"], "hidden": 9},
    Supervised: {"click_rate": 0.2},
}


@pytest.fixture(scope="module")
def batch(prepared_shop):
    batch = next(iter(pages(prepared_shop, batch_size=24)))
    count = len(batch["item_index"])
    return {**batch, "title": tf.constant([TITLES[i % len(TITLES)] for i in range(count)])}


def build(method, rate=0.5, **options):
    keras.utils.set_random_seed(3)
    model = method(tiny_encoder(), embedding_dim=WIDTH, **{**OPTIONS[method], **options})
    model.compile(optimizer=keras.optimizers.SGD(rate))
    return model


def unit(x):
    x = np.asarray(x, float)
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def share(logits, chosen):
    """Minus the log of the softmax of ``logits`` at ``chosen``."""
    return math.log(sum(math.exp(v) for v in logits.values())) - logits[chosen]


def loss_of(model, batch, training=True):
    numbers = model.numbers(batch)
    embeddings = model(model.pictures(numbers, training), training=training)
    return model.measure(embeddings, numbers, training)["loss"]


def test_simclr_equals_a_loop(batch):
    model = build(SimCLR)
    views = unit(model.projector(model(model.pictures(batch, True)), training=True))
    count = len(batch["item_index"])
    losses = []
    for i in range(2 * count):
        logits = {j: views[i] @ views[j] / 0.2 for j in range(2 * count) if j != i}
        losses.append(share(logits, (i + count) % (2 * count)))
    assert float(loss_of(model, batch)) == pytest.approx(np.mean(losses), rel=1e-5)


def test_simsiam_equals_a_loop_and_stops_the_gradient(batch):
    model = build(SimSiam)
    pictures = model.pictures(batch, True)
    first, second = (model.projector(x, training=True) for x in tf.split(model(pictures), 2))
    predicted = [unit(model.predictor(z, training=True)) for z in (first, second)]
    expected = -np.mean(
        [unit(z)[i] @ p[i] for z, p in zip((second, first), predicted, strict=True)
         for i in range(len(first))]
    )  # fmt: skip
    with tf.GradientTape() as tape:
        loss = loss_of(model, batch)
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    variables = model.encoder.trainable_variables
    with tf.GradientTape() as fixed_tape:
        z = [model.projector(x, training=True) for x in tf.split(model(pictures), 2)]
        p = [tf.nn.l2_normalize(model.predictor(x, training=True), -1) for x in z]
        targets = [tf.constant(unit(x), tf.float32) for x in (second, first)]
        fixed = -tf.reduce_mean(p[0] * targets[0] + p[1] * targets[1]) * p[0].shape[-1] / 2
    for a, b in zip(
        tape.gradient(loss, variables), fixed_tape.gradient(fixed, variables), strict=True
    ):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_clip_equals_a_loop(batch):
    model = build(CLIP)
    words = {"shoe": 2, "red": 3, "blue": 4}
    vectors = model.word_vectors.get_weights()[0]
    hidden, out = (layer.get_weights() for layer in model.text_tower.layers)
    titles = [t.decode().strip() for t in batch["title"].numpy()]
    text = {}
    for i, title in enumerate(titles):
        if title:
            pooled = np.mean([vectors[words.get(w, 1)] for w in title.lower().split()], axis=0)
            middle = np.maximum(pooled @ hidden[0] + hidden[1], 0)
            text[i] = unit(middle @ out[0] + out[1])
    images = unit(model(batch["image"]))
    losses = []
    for i in text:
        others = [j for j in text if j == i or titles[j] != titles[i]]
        assert 1 < len(others) < len(text)
        losses.append(share({j: images[i] @ text[j] / 0.1 for j in others}, i) / 2)
        losses.append(share({j: text[i] @ images[j] / 0.1 for j in others}, i) / 2)
    expected = 2 * np.mean(losses)
    assert float(loss_of(model, batch)) == pytest.approx(expected, rel=1e-4)


def test_clip_without_any_title(batch):
    model = build(CLIP)
    none = {**batch, "title": tf.fill(batch["title"].shape, "")}
    assert float(loss_of(model, none)) == 0.0


def test_words_of_titles():
    titles = ["Red shoe", "shoe!", "", "  ", "SHOE blue"]
    assert title_words(titles)[0] == "shoe" and set(title_words(titles)) == {"shoe", "red", "blue"}
    assert title_words(titles, at_most=1) == ["shoe"]
    assert title_words(["", " "]) == []


def test_supervised_equals_a_loop(batch):
    model = build(Supervised)
    assert float(model.bias) == pytest.approx(math.log(0.2 / 0.8))
    embedding = unit(model(batch["image"]))
    model.scale.assign(3.5)
    losses, lonely = [], 0
    for history, shown, clicked in zip(
        batch["history"].numpy(), batch["shown"].numpy(), batch["clicked"].numpy(), strict=True
    ):
        clicks = embedding[history[history >= 0]]
        lonely += not len(clicks)
        for place, click in zip(shown, clicked, strict=True):
            if place >= 0:
                alike = np.mean([c @ embedding[place] for c in clicks]) if len(clicks) else 0.0
                p = 1 / (1 + math.exp(-3.5 * alike - math.log(0.2 / 0.8)))
                losses.append(-math.log(p if click == 1 else 1 - p))
    assert 0 < lonely < len(batch["history"]) and len(losses) > 50
    assert float(loss_of(model, batch)) == pytest.approx(np.mean(losses), rel=1e-4)


def test_supervised_learns_more_than_the_click_rate(prepared_shop):
    """The loss ends below the entropy of the clicks: what knows their rate alone cannot."""
    batch = next(iter(pages(prepared_shop, batch_size=200)))
    shown = batch["shown"].numpy() >= 0
    rate = batch["clicked"].numpy()[shown].mean()
    entropy = -(rate * math.log(rate) + (1 - rate) * math.log(1 - rate))
    model = build(Supervised, click_rate=float(rate))
    model.start_from(model.encoder(batch["image"]).numpy())
    model.compile(optimizer=keras.optimizers.Adam(3e-2))
    step = tf.function(model.train_step, autograph=False)
    for _ in range(120):
        model.reset_metrics()
        found = {name: float(value) for name, value in step(batch).items()}
    assert found["loss"] < entropy - 0.02
    assert found["mean_pairwise_cosine"] < 0.5


def test_supervised_refuses_a_rate_without_odds():
    with pytest.raises(ValueError, match="click_rate between 0 and 1, got 1.0"):
        build(Supervised, click_rate=1.0)


@pytest.mark.parametrize(
    ("method", "micro_batch"), [*((method, None) for method in OPTIONS), (SimCLR, 9)]
)
def test_steps_lower_the_loss(batch, method, micro_batch):
    model = build(method, rate=0.05, micro_batch=micro_batch)
    if method is SimSiam:  # its targets move
        model.compile(optimizer=keras.optimizers.Adam(1e-2))
    losses = []
    for _ in range(12 if method is SimSiam else 4):
        model.optimizer.iterations.assign(0)  # the same views
        model.reset_metrics()
        reported = model.train_step(batch)
        assert set(reported) == {"loss", "mean_pairwise_cosine", "effective_rank"}
        losses.append(float(reported["loss"]))
    assert losses[-1] < losses[0] - 0.005


@pytest.mark.parametrize("method", [CLIP, Supervised])
def test_gradient_cache_changes_nothing(batch, method):
    weights = []
    for micro_batch in (None, 9):
        model = build(method, rate=1.0, micro_batch=micro_batch)
        before = [v.numpy() for v in model.trainable_variables]
        model.train_step(batch)
        weights.append([v - b for v, b in zip(model.trainable_variables, before, strict=True)])
    for one, two in zip(*weights, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-5)


@pytest.mark.parametrize("method", [SimCLR, SimSiam])
def test_views_are_new_at_every_step_and_replayed(batch, method):
    model = build(method)
    first = model.pictures(batch, True).numpy()
    assert first.shape[0] == 2 * len(batch["item_index"])
    assert (np.split(first, 2)[0] != np.split(first, 2)[1]).any()
    model.train_step(batch)
    assert (model.pictures(batch, True).numpy() != first).any()
    model.optimizer.iterations.assign(0)
    np.testing.assert_array_equal(model.pictures(batch, True), first)
    other = build(method, seed=8)
    assert (other.pictures(batch, True).numpy() != first).any()


@pytest.mark.parametrize("method", list(OPTIONS))
def test_save_and_load(batch, tmp_path, method):
    model = build(method, micro_batch=11)
    model.train_step(batch)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert type(again) is method
    ours, theirs = model.get_config(), again.get_config()
    assert ours.pop("encoder") and theirs.pop("encoder") and ours == theirs
    np.testing.assert_array_equal(again(batch["image"]), model(batch["image"]))
    for one, two in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    loss = float(loss_of(model, batch, False))
    assert np.isfinite(loss) and float(loss_of(again, batch, False)) == loss
