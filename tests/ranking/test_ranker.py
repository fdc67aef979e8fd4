from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_recommenders as tfrs
import tf_keras as keras
from ranking_cases import (
    HISTORY,
    ITEMS,
    Inputs,
    moved,
    toy_inputs,
    toy_item_tables,
    toy_ranker,
    toy_tables,
)

from tfrec_vis.ranking import FEATURES, RANKERS, Ranker

EVERYTHING = "+".join(FEATURES[1:])
ANY_LENGTH = "vector+cluster_id+sim_tier+semantic_id"


def step(model: Ranker, inputs: Inputs, clicked: np.ndarray) -> set[str]:
    """One step of descent; gives the weights that it left as they were."""
    before = model.learned()
    with tf.GradientTape() as tape:
        loss = model.compute_loss((inputs, clicked))
    keras.optimizers.SGD(0.1).minimize(loss, model.trainable_variables, tape)
    after = model.learned()
    return {name for name, value in before.items() if (after[name] == value).all()}


@pytest.mark.parametrize("kind", RANKERS)
def test_a_step_of_training_moves_every_weight(kind: str) -> None:
    model = moved(toy_ranker(EVERYTHING, kind))
    still = step(model, toy_inputs(64), (np.arange(64) % 2).astype(np.float32))
    # The softmax takes no notice of an attention's last bias; training, none of the scale.
    assert {n for n in still if not n.startswith("standardize")} <= {
        n for n in model.learned() if "attention" in n and n.endswith("network.1.bias")
    }
    assert model(toy_inputs(5)).shape == (5,)


def test_trains_by_keras_fit() -> None:
    model, clicked = toy_ranker(), (np.arange(64) % 2).astype(np.float32)
    assert isinstance(model, tfrs.models.Model)
    assert isinstance(model.task, tfrs.tasks.Ranking)
    model.compile(optimizer=keras.optimizers.Adam(0.02))
    history = model.fit(toy_inputs(64), clicked, batch_size=64, epochs=20, verbose=0).history
    assert history["loss"][-1] < history["loss"][0] < 1


def test_the_loss_is_the_cross_entropy_of_the_logits() -> None:
    model = moved(toy_ranker())
    inputs, clicked = toy_inputs(16), (np.arange(16) % 3 == 0).astype(np.float32)
    logits = model(inputs).numpy().astype(float)
    probability = 1 / (1 + np.exp(-logits))
    expected = -np.mean(clicked * np.log(probability) + (1 - clicked) * np.log(1 - probability))
    assert float(model.compute_loss((inputs, clicked))) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("kind", RANKERS)
def test_padding_of_histories_has_no_influence(kind: str) -> None:
    model = moved(toy_ranker(ANY_LENGTH, kind))
    inputs = toy_inputs(8)
    longer = np.pad(inputs["history"], [(0, 0), (0, 3)])
    np.testing.assert_allclose(
        model(inputs), model({**inputs, "history": longer}), rtol=1e-5, atol=1e-6
    )


def without_history(inputs: Inputs) -> Inputs:
    return {**inputs, "history": np.zeros_like(inputs["history"])}


@pytest.mark.parametrize("kind", RANKERS)
@pytest.mark.parametrize("feature", ["none", ANY_LENGTH])
def test_the_history_matters_and_its_length_alone_does_not(kind: str, feature: str) -> None:
    model = moved(toy_ranker(feature, kind))
    inputs = toy_inputs(8)
    full = (inputs["history"] > 0).any(axis=1)
    changed = model(inputs).numpy() != model(without_history(inputs)).numpy()
    assert changed[full].all() and not changed[~full].any()
    once, thrice = np.zeros([2, 8, HISTORY], np.int32)
    once[:, 0], thrice[:, :3] = 7, 7
    np.testing.assert_allclose(
        model({**inputs, "history": once}), model({**inputs, "history": thrice}), rtol=1e-4
    )


@pytest.mark.parametrize("rows", [0, 1])
@pytest.mark.parametrize("kind", RANKERS)
def test_batches_of_none_and_one(kind: str, rows: int) -> None:
    model, inputs = moved(toy_ranker(EVERYTHING, kind)), toy_inputs(8)
    few = {name: values[:rows] for name, values in inputs.items()}
    np.testing.assert_allclose(model(few), model(inputs)[:rows], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("feature", FEATURES[1:])
def test_the_feature_reaches_the_logits(feature: str) -> None:
    inputs, model = toy_inputs(8), moved(toy_ranker(feature))
    before, full = model(inputs).numpy(), (inputs["history"] > 0).any(axis=1)
    shifted = {n: np.roll(t[1:], 3, axis=0) for n, t in toy_item_tables().items()}
    none = {n: t[:1] for n, t in toy_item_tables().items()}
    model.visual.set_tables(**{n: np.concatenate([none[n], shifted[n]]) for n in shifted})
    assert (model(inputs).numpy() != before)[full].mean() > 0.7


def test_given_cosines_equal_those_of_the_vectors() -> None:
    inputs, model = toy_inputs(8), moved(toy_ranker("sim_score+sim_tier"))
    vectors = toy_item_tables()["vectors"]
    cosines = np.einsum("nd,nld->nl", vectors[inputs["item"]], vectors[inputs["history"]])
    np.testing.assert_allclose(model(inputs), model({**inputs, "cosines": cosines}), atol=1e-5)
    alone = toy_ranker("sim_score+sim_tier", vector_dim=0)
    alone.set_learned(model.learned())
    alone.visual.set_tables(vectors=vectors)
    np.testing.assert_allclose(model(inputs), alone({**inputs, "cosines": cosines}), atol=1e-5)


def test_an_attribute_bucket_is_shared_by_the_rare_alone() -> None:
    model, tables = toy_ranker(), toy_tables()
    rows = model.rows.numpy()
    for a, b in np.ndindex(ITEMS + 1, ITEMS + 1):
        for column, buckets in enumerate(tables.buckets):
            one, other = buckets[tables.values[[a, b], column]]
            assert (rows[a, column] == rows[b, column]) == (one == other)
    assert not set(rows[:, 0]) & set(rows[:, 1])
    assert rows.max() + 1 == sum(int(b.max()) + 1 for b in tables.buckets)


def test_numbers_given_beforehand_change_nothing() -> None:
    model, inputs = moved(toy_ranker()), toy_inputs(8)
    given = {**inputs, "numbers": model.numbers(inputs)}
    np.testing.assert_array_equal(model(given), model(inputs))


def test_tables_of_events_and_items_are_not_trained() -> None:
    model = toy_ranker(EVERYTHING)
    fixed = [model.values, model.rows, model.clicks.keys, model.shown.keys]
    fixed += model.visual.tables.values()
    trained = {v.ref() for v in model.trainable_variables}
    assert not trained & {v.ref() for v in fixed}


def test_a_log_without_shown_rows_has_no_statistics_of_them() -> None:
    with_them, without = Ranker(toy_tables()), Ranker(toy_tables(shown=0))
    widths = [m.standardize.width for m in (with_them, without)]
    assert widths[0] - widths[1] == with_them.shown.width


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="vector"):
        Ranker(toy_tables(), "picture")
    with pytest.raises(ValueError, match="expected a ranker of din, dcn, dlrm"):
        Ranker(toy_tables(), ranker="dien")


@pytest.fixture(params=["mixed_float16", "mixed_bfloat16"])
def half(request: pytest.FixtureRequest) -> Iterator[None]:
    keras.mixed_precision.set_global_policy(request.param)
    yield
    keras.mixed_precision.set_global_policy("float32")


@pytest.mark.parametrize("kind", RANKERS)
def test_trains_in_half_precision(kind: str, half: None) -> None:
    model, inputs = toy_ranker(EVERYTHING, kind), toy_inputs(64)
    policy = keras.mixed_precision.global_policy()
    assert model.body.compute_dtype == policy.compute_dtype
    model.compile(optimizer=keras.optimizers.Adam(0.02))
    model.optimizer.build(model.trainable_variables)
    clicked = (np.arange(64) % 2).astype(np.float32)
    losses = [float(model.train_step((inputs, clicked))["loss"]) for _ in range(8)]
    assert min(losses[4:]) < losses[0] < 1
    assert model(inputs).dtype == tf.float32
    assert {v.dtype for v in model.trainable_variables} == {tf.float32}


def test_half_precision_gives_nearly_the_same_logits(half: None) -> None:
    model, inputs = moved(toy_ranker(EVERYTHING)), toy_inputs(8)
    model.fit_scale(model.numbers(inputs))
    keras.mixed_precision.set_global_policy("float32")
    exact = toy_ranker(EVERYTHING)
    exact.set_learned(model.learned())
    logits = exact(inputs).numpy()
    np.testing.assert_allclose(model(inputs), logits, atol=0.05 * np.ptp(logits))
    assert (model(inputs).numpy() != logits).any()


def test_a_step_scales_the_loss_for_float16() -> None:
    """The same step as without: tiny gradients are no zeros on the way."""
    inputs, clicked = toy_inputs(16), (np.arange(16) % 2).astype(np.float32)
    learned = []
    for scaled in (False, True):
        model = moved(toy_ranker())
        optimizer = keras.optimizers.SGD(0.1)
        if scaled:
            optimizer = keras.mixed_precision.LossScaleOptimizer(
                optimizer, dynamic=False, initial_scale=1024
            )
        model.compile(optimizer=optimizer)
        model.train_step((inputs, clicked))
        learned.append(model.learned())
    for name, value in learned[0].items():
        np.testing.assert_allclose(learned[1][name], value, rtol=1e-4, atol=1e-6, err_msg=name)


def test_numbers_are_not_rounded_to_half_precision(half: None) -> None:
    model, inputs = toy_ranker(), toy_inputs(8)
    seen = []
    standardize = model.standardize.call
    model.standardize.call = lambda values: seen.append(values) or standardize(values)
    numbers = model.numbers(inputs)
    model({**inputs, "numbers": numbers})
    np.testing.assert_array_equal(seen[0], numbers[:, -model.standardize.width :])
