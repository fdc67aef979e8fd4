from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from contrast_oracle import contrast_by_loop
from tiny_encoder import tiny_encoder

from tfrec_vis.data import pages
from tfrec_vis.pretraining import Courier

WIDTH = 6


@pytest.fixture(scope="module")
def batch(prepared_shop):
    """Pages with histories from none to five clicks."""
    batch = next(iter(pages(prepared_shop, batch_size=24)))
    lengths = (batch["history"].numpy() >= 0).sum(axis=1)
    assert lengths.min() == 0 and lengths.max() == 5
    return batch


def courier(rate=0.5, **config):
    keras.utils.set_random_seed(3)
    count = config.pop("count", False)
    model = Courier(tiny_encoder(count=count), embedding_dim=WIDTH, num_heads=2, **config)
    model.compile(optimizer=keras.optimizers.SGD(rate))
    return model


def weights(model):
    """All trained weights in one row, in float64."""
    return np.concatenate([v.numpy().ravel().astype(float) for v in model.trainable_variables])


def step(model, batch):
    return {name: float(v) for name, v in tf.function(model.train_step)(batch).items()}


@pytest.mark.parametrize("project_values", [True, False])
def test_losses_equal_a_loop_over_pages(batch, project_values):
    """Reconstructs every item from unpadded histories, contrasts by the NumPy oracle."""
    model = courier(project_values=project_values, temperature=0.2)
    embedding = model(batch["image"]).numpy()
    values = {name: value.numpy() for name, value in batch.items() if name != "image"}

    def rebuild(query, clicks):
        if not len(clicks):
            return np.zeros(WIDTH)
        mask = np.ones((1, len(clicks)), bool)
        return model.reconstruction(query[None, None], embedding[clicks][None], mask)[0, 0]

    shown_rows, newest_rows = [], []
    for history, shown, clicked, history_item, shown_item in zip(
        values["history"],
        values["shown"],
        values["clicked"],
        values["history_item_index"],
        values["shown_item_index"],
        strict=True,
    ):
        clicks = history[history >= 0]
        for place, click, item in zip(shown, clicked, shown_item, strict=True):
            if place >= 0:
                anchor = click == 1 and len(clicks) > 0
                vector = embedding[place]
                shown_rows.append((vector, rebuild(vector, clicks), anchor, item))
        if len(clicks) >= 2:
            vector = embedding[clicks[0]]
            newest_rows.append((vector, rebuild(vector, clicks[1:]), history_item[0]))
    vectors, rebuilt, anchors, items = zip(*shown_rows, strict=True)
    assert 5 < sum(anchors) < len(anchors)
    page_view = contrast_by_loop(vectors, rebuilt, anchors, [True] * len(items), items, 0.2)
    vectors, rebuilt, items = zip(*newest_rows, strict=True)
    everyone = [True] * len(items)
    click_sequence = contrast_by_loop(vectors, rebuilt, everyone, everyone, items, 0.2)

    measures = step(model, batch)
    assert measures["page_view_contrast"] == pytest.approx(page_view, rel=1e-4)
    assert measures["click_sequence_contrast"] == pytest.approx(click_sequence, rel=1e-4)
    assert measures["loss"] == pytest.approx(page_view + click_sequence, rel=1e-4)


@pytest.mark.parametrize("micro_batch", [3, 10_000])
def test_gradient_cache_changes_nothing(batch, micro_batch):
    plain, cached = courier(rate=1.0), courier(rate=1.0, micro_batch=micro_batch)
    start = weights(plain)
    np.testing.assert_array_equal(weights(cached), start)
    one, two = step(plain, batch), step(cached, batch)
    assert one == pytest.approx(two, rel=1e-5)
    # At rate 1 the change is the gradient.
    gradient, difference = weights(plain) - start, weights(cached) - weights(plain)
    assert np.linalg.norm(gradient) > 1
    assert np.linalg.norm(difference) < 1e-6 * np.linalg.norm(gradient)


def test_the_step_follows_the_loss(batch):
    """The change of the loss after a tiny step is -rate |gradient|^2."""
    rate = 1e-6
    model = courier(rate=rate)
    before = weights(model)
    first = step(model, batch)["loss"]
    squared = np.sum(((weights(model) - before) / rate) ** 2)
    model.reset_metrics()
    second = float(model.test_step(batch)["loss"])
    assert first - second == pytest.approx(rate * squared, rel=0.1)


@pytest.mark.parametrize(("micro_batch", "times"), [(None, 1), (7, 2)])
def test_each_distinct_picture_is_encoded_once(batch, micro_batch, times):
    model = courier(count=True, micro_batch=micro_batch)
    seen = model.encoder.get_layer("seen").count
    seen.assign(0)
    shown = np.append(batch["history_item_index"], batch["shown_item_index"])
    distinct = len(set(shown) - {0})
    model.train_step(batch)
    # The gradient cache encodes a second time, for the gradients.
    assert int(seen) == times * distinct
    assert distinct < (shown > 0).sum() / 2
    seen.assign(0)
    model.test_step(batch)
    assert int(seen) == distinct


@pytest.mark.parametrize("micro_batch", [None, 5])
def test_no_click_gives_no_loss_and_no_step(batch, micro_batch):
    none = dict(batch)
    none["clicked"] = tf.zeros_like(batch["clicked"])
    none["history"] = tf.fill(tf.shape(batch["history"]), -1)
    none["history_item_index"] = tf.zeros_like(batch["history_item_index"])
    model = courier(micro_batch=micro_batch)
    before = weights(model)
    for clicked in (none["clicked"], batch["clicked"]):  # without history no click is an anchor
        measures = model.train_step({**none, "clicked": clicked})
        assert measures["loss"] == 0.0 and all(np.isfinite(v) for v in measures.values())
        np.testing.assert_array_equal(weights(model), before)


def test_the_newest_item_is_left_out_of_its_own_history(batch):
    """A user who clicked one item again and again has no older click to rebuild it from."""
    again = dict(batch)
    first = batch["history"][:, :1]
    item = batch["history_item_index"][:, :1]
    again["history"] = tf.tile(first, [1, 5])
    again["history_item_index"] = tf.tile(item, [1, 5])
    measures = courier().test_step(again)
    assert float(measures["click_sequence_contrast"]) == 0.0
    assert float(measures["page_view_contrast"]) > 0.0


def test_fit_evaluate_predict(prepared_shop):
    dataset = pages(prepared_shop, batch_size=64, shuffle=False)
    model = courier(rate=0.05, temperature=0.3)
    before = model.evaluate(dataset, return_dict=True, verbose=0)
    history = model.fit(dataset, epochs=2, verbose=0).history
    after = model.evaluate(dataset, return_dict=True, verbose=0)
    measures = {
        "loss",
        "page_view_contrast",
        "click_sequence_contrast",
        "mean_pairwise_cosine",
        "effective_rank",
        "attention_entropy",
    }
    assert set(history) == set(before) == measures
    assert after["loss"] < before["loss"] - 0.1
    assert before["loss"] == pytest.approx(
        before["page_view_contrast"] + before["click_sequence_contrast"], rel=1e-5
    )
    pictures = next(iter(dataset))["image"].numpy()[:10]
    embeddings = model.predict(pictures, batch_size=4, verbose=0)
    assert embeddings.shape == (10, WIDTH) and embeddings.dtype == np.float32
    np.testing.assert_allclose(embeddings, model(pictures), atol=1e-5)


def test_save_and_load(batch, tmp_path):
    model = courier(project_values=False, temperature=0.2, micro_batch=11)
    step(model, batch)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert type(again) is Courier
    settings = ("embedding_dim", "num_heads", "project_values", "temperature", "micro_batch")
    for name in settings:
        assert getattr(again, name) == getattr(model, name)
    np.testing.assert_array_equal(again(batch["image"]), model(batch["image"]))
    for one, two in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    model.reset_metrics()
    again.reset_metrics()
    assert float(again.test_step(batch)["loss"]) == float(model.test_step(batch)["loss"])


def test_mixed_precision_keeps_embeddings_in_float32(batch):
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        mixed = courier()
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert mixed.encoder.layers[-2].compute_dtype == "bfloat16"
    assert mixed(batch["image"]).dtype == tf.float32
    exact = courier()
    for one, two in zip(mixed.variables, exact.variables, strict=True):
        one.assign(two)
    expected = float(exact.test_step(batch)["loss"])
    assert step(mixed, batch)["loss"] == pytest.approx(expected, rel=0.05)
    assert all(w.dtype == np.float32 and np.isfinite(w).all() for w in mixed.get_weights())


def test_start_from_centres_and_keeps_the_geometry():
    features = np.random.default_rng(0).normal(size=(50, 8)) @ np.diag(np.arange(1, 9)) + 5
    features = features.astype(np.float32)
    model = Courier(tiny_encoder(8), embedding_dim=8, num_heads=2)
    model.start_from(features)
    embeddings = model.output_layer(features).numpy()
    np.testing.assert_allclose(embeddings.mean(axis=0), np.zeros(8), atol=1e-4)
    assert np.square(embeddings).sum(axis=1).mean() == pytest.approx(1.0, rel=1e-4)
    centred = features - features.mean(axis=0)
    scale = np.square(centred).sum(axis=1).mean()
    products = centred @ centred.T / scale
    np.testing.assert_allclose(embeddings @ embeddings.T, products, atol=1e-4)


def test_start_from_keeps_the_largest_components():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 8)) * [1, 9, 1, 7, 1, 5, 1, 1] - 3
    model = Courier(tiny_encoder(8), embedding_dim=4, num_heads=2)
    model.start_from(features.astype(np.float32))
    embeddings = model.output_layer(features.astype(np.float32)).numpy()
    covariance = np.linalg.eigvalsh(np.cov(features.T))[::-1][:4]
    shares = covariance / covariance.sum()
    np.testing.assert_allclose(embeddings.var(axis=0), shares, rtol=1e-3)
    kernel = model.output_layer.get_weights()[0]
    assert (kernel[np.abs(kernel).argmax(axis=0), np.arange(4)] > 0).all()


@pytest.mark.parametrize("shape", [(3, 8), (50, 3)])
def test_start_from_needs_enough_features(shape):
    model = Courier(tiny_encoder(8), embedding_dim=4, num_heads=2)
    with pytest.raises(ValueError, match="expected features of at least 4 items and columns"):
        model.start_from(np.ones(shape, np.float32))
