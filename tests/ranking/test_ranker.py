from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_recommenders as tfrs
import tf_keras as keras
from ranking_cases import (
    HISTORY,
    WIDTH,
    Inputs,
    tables_for,
    toy_inputs,
    toy_tables,
    toy_vectors,
)

from tfrec_vis.ranking import FEATURES, Ranker


def ranker(feature: str) -> Ranker:
    model = Ranker(tables_for(feature), feature, WIDTH)
    if model.vector is not None:
        model.vector.set_table(toy_vectors())
    return model


def moved(model: Ranker) -> Ranker:
    """The model with large random weights, so that every input matters."""
    for variable in model.trainable_variables:
        variable.assign(tf.random.normal(variable.shape, stddev=0.2))
    return model


@pytest.mark.parametrize("feature", FEATURES)
def test_a_step_of_training_moves_every_weight(feature: str) -> None:
    model = moved(ranker(feature))
    assert isinstance(model, tfrs.models.Model)
    assert isinstance(model.task, tfrs.tasks.Ranking)
    before = [v.numpy() for v in model.trainable_variables]
    model.compile(optimizer=keras.optimizers.SGD(0.1))
    clicked = (np.arange(32) % 2).astype(np.float32)
    inputs = toy_inputs(32, feature)
    logs = model.fit(inputs, clicked, batch_size=32, verbose=0).history
    # The softmax takes no notice of the attention's last bias.
    still = [
        variable.name
        for variable, old in zip(model.trainable_variables, before, strict=True)
        if (variable.numpy() == old).all()
    ]
    assert len(still) <= 1 and all("attention" in name for name in still), still
    assert np.isfinite(logs["loss"][0])
    assert model(toy_inputs(5, feature)).shape == (5,)


def test_the_loss_is_the_cross_entropy_of_the_logits() -> None:
    model = moved(ranker("none"))
    inputs, clicked = toy_inputs(16), (np.arange(16) % 3 == 0).astype(np.float32)
    logits = model(inputs).numpy().astype(float)
    probability = 1 / (1 + np.exp(-logits))
    expected = -np.mean(clicked * np.log(probability) + (1 - clicked) * np.log(1 - probability))
    assert float(model.compute_loss((inputs, clicked))) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("feature", ["none", "vector", "cluster_id"])
def test_padding_of_histories_has_no_influence(feature: str) -> None:
    model = moved(ranker(feature))
    inputs = toy_inputs(8, feature)
    longer = np.pad(inputs["history"], [(0, 0), (0, 3)])
    np.testing.assert_allclose(
        model(inputs), model({**inputs, "history": longer}), rtol=1e-5, atol=1e-6
    )


def without_history(inputs: Inputs) -> Inputs:
    return {**inputs, "history": np.zeros_like(inputs["history"])}


@pytest.mark.parametrize("feature", ["none", "vector", "cluster_id"])
def test_the_history_matters_and_its_length_alone_does_not(feature: str) -> None:
    model = moved(ranker(feature))
    inputs = toy_inputs(8, feature)
    full = (inputs["history"] > 0).any(axis=1)
    changed = model(inputs).numpy() != model(without_history(inputs)).numpy()
    assert changed[full].all() and not changed[~full].any()
    once, thrice = np.zeros([2, 8, HISTORY], np.int32)
    once[:, 0], thrice[:, :3] = 7, 7
    np.testing.assert_allclose(
        model({**inputs, "history": once}), model({**inputs, "history": thrice}), rtol=1e-4
    )


def test_the_feature_reaches_the_logits() -> None:
    inputs = toy_inputs(8, "sim_score")
    model = moved(ranker("sim_score"))
    other = {**inputs, "sim_score": inputs["sim_score"] + 1}
    assert (model(inputs).numpy() != model(other).numpy()).all()
    model = moved(ranker("vector"))
    before = model(inputs).numpy()
    model.vector.set_table(np.roll(toy_vectors(), 3, axis=0))
    assert (model(inputs).numpy() != before).all()


def test_tables_of_events_and_items_are_not_trained() -> None:
    model = ranker("vector")
    fixed = [model.attribute_values, *model.attribute_buckets, model.clicks.keys, model.shown.keys]
    trained = {v.ref() for v in model.trainable_variables}
    assert not trained & {v.ref() for v in [*fixed, model.vector.table]}


def test_a_log_without_shown_rows_has_no_statistics_of_them() -> None:
    with_them, without = Ranker(toy_tables()), Ranker(toy_tables(shown=0))
    widths = [m.cross[0].trainable_variables[0].shape[0] for m in (with_them, without)]
    assert widths[0] - widths[1] == with_them.shown.width


def test_an_unknown_feature_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a feature of none, vector"):
        Ranker(toy_tables(), "picture")
