from __future__ import annotations

import itertools

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from ranking_cases import HISTORY, Inputs, toy_inputs, toy_item_tables, toy_tables, toy_visual
from sklearn.metrics import roc_auc_score

from tfrec_vis.ranking import Trainer
from tfrec_vis.ranking.trainer import Fit

ROWS = 600


@pytest.fixture(scope="module", autouse=True)
def deterministic() -> None:
    """As every run of the workflow is."""
    tf.config.experimental.enable_op_determinism()


def toy_rows(rows: int, seed: int) -> tuple[Inputs, np.ndarray]:
    """Clicks are decided by the item's category, 19 times of 20."""
    inputs = toy_inputs(rows, seed)
    flipped = np.random.default_rng(seed + 100).random(rows) < 0.05
    return inputs, ((inputs["item"] % 4 < 2) != flipped).astype(np.int32)


def trainer() -> Trainer:
    made = Trainer(toy_tables(), "vector", visual=toy_visual(), batch_size=64, learning_rate=0.02)
    made.set_item_tables(**toy_item_tables())
    return made


@pytest.fixture(scope="module")
def used() -> Trainer:
    """One trainer for all tests: what it trained before must not matter."""
    return trainer()


def fitted(one: Trainer, seed: int, epochs: int, rows_seed: int = 0) -> Fit:
    one.epochs = epochs
    train = toy_rows(ROWS, rows_seed)
    return one.fit(train, toy_rows(300, 1), {"test": toy_inputs(300, 2)}, seed)


def test_the_same_seed_gives_the_same_scores_whatever_came_before(used: Trainer) -> None:
    first = fitted(used, seed=3, epochs=2)
    other = fitted(used, seed=4, epochs=1, rows_seed=7)
    again = fitted(used, seed=3, epochs=2)
    new = fitted(trainer(), seed=3, epochs=2)
    for one in (again, new):
        assert one.epochs == first.epochs
        for name in ("validation", "test"):
            np.testing.assert_array_equal(one.scores[name], first.scores[name])
        assert list(one.weights) == list(first.weights)
        for name, weight in first.weights.items():
            np.testing.assert_array_equal(one.weights[name], weight)
    assert (other.scores["test"] != first.scores["test"]).any()


def test_another_seed_gives_other_scores(used: Trainer) -> None:
    first, second = fitted(used, seed=0, epochs=1), fitted(used, seed=1, epochs=1)
    assert (first.scores["test"] != second.scores["test"]).any()


def test_learns_an_obvious_signal(used: Trainer) -> None:
    fit = fitted(used, seed=0, epochs=4)
    assert roc_auc_score(toy_rows(300, 2)[1], fit.scores["test"]) > 0.8


def noting_epochs(one: Trainer, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, np.ndarray]]:
    """Fills with the weights after each epoch."""
    weights: list[dict[str, np.ndarray]] = []
    epoch = one._epoch

    def noting(*arguments: tf.Tensor) -> None:
        epoch(*arguments)
        weights.append(one.model.learned())

    monkeypatch.setattr(one, "_epoch", noting)
    return weights


def reached_by(weights: list[dict[str, np.ndarray]]) -> list[float]:
    """Validation AUC of each, by a ranker of its own and scikit-learn."""
    inputs, clicked = toy_rows(300, 1)
    model, areas = trainer().model, []
    for each in weights:
        model.set_learned(each)
        areas.append(roc_auc_score(clicked, model(inputs).numpy()))
    return areas


def assert_kept(fit: Fit, each: list[dict[str, np.ndarray]], epochs: int) -> None:
    """``each``: weights of epoch 0, 1, ..."""
    assert fit.epochs == epochs
    for name, weight in each[epochs].items():
        np.testing.assert_array_equal(fit.weights[name], weight, err_msg=name)


def test_the_best_epoch_is_kept_and_training_ends_after_it(
    used: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    after = noting_epochs(used, monkeypatch)
    fit = fitted(used, seed=0, epochs=8)
    areas = reached_by(after)
    assert len(areas) < 8 and areas[-1] <= areas[-2]  # only the last is no better
    assert all(later > earlier for earlier, later in itertools.pairwise(areas[:-1]))
    assert_kept(fit, [{}, *after], int(np.argmax(areas)) + 1)
    np.testing.assert_array_equal(used.predict(toy_rows(300, 1)[0]), fit.scores["validation"])


@pytest.mark.parametrize("rate", [0.02, 0.3])
def test_a_continuation_never_ends_below_its_start(
    used: Trainer, monkeypatch: pytest.MonkeyPatch, rate: float
) -> None:
    """At the high rate every epoch is harmful: the start is kept."""
    start = fitted(used, seed=5, epochs=2).weights
    after = noting_epochs(used, monkeypatch)
    monkeypatch.setattr(used, "learning_rate", rate)
    used.epochs = 3
    fit = used.fit(toy_rows(ROWS, 0), toy_rows(300, 1), {"test": toy_inputs(300, 2)}, 6, start)
    areas = reached_by([start, *after])
    assert_kept(fit, [start, *after], int(np.argmax(areas)))
    assert rate < 0.3 or fit.epochs == 0
    np.testing.assert_array_equal(used.predict(toy_rows(300, 1)[0]), fit.scores["validation"])
    np.testing.assert_array_equal(used.predict(toy_inputs(300, 2)), fit.scores["test"])


@pytest.fixture(scope="module")
def plain() -> Fit:
    """A training without images."""
    one = Trainer(toy_tables(), batch_size=64, epochs=1, learning_rate=0.02)
    return one.fit(toy_rows(ROWS, 0), toy_rows(300, 1), {}, 1)


def test_epochs_that_harm_leave_the_start_without_images(used: Trainer, plain: Fit) -> None:
    inputs, clicked = toy_rows(ROWS, 0)
    used.epochs = 2
    fit = used.fit((inputs, 1 - clicked), toy_rows(300, 1), {}, 2, start=plain.weights)
    assert fit.epochs == 0
    np.testing.assert_allclose(fit.scores["validation"], plain.scores["validation"], atol=1e-6)


def test_the_rate_falls_with_the_epochs(used: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[float] = []
    epoch = used._epoch

    def noting(*arguments: tf.Tensor) -> None:
        rates.append(float(used.model.optimizer.learning_rate))
        epoch(*arguments)

    monkeypatch.setattr(used, "_epoch", noting)
    fit = fitted(used, seed=0, epochs=4)
    np.testing.assert_allclose(rates, np.array([0.02, 0.015, 0.01, 0.005])[: len(rates)])
    assert len(rates) in (4, fit.epochs + 1)


def test_scores_are_probabilities_in_the_order_of_the_rows(used: Trainer) -> None:
    scores = fitted(used, seed=0, epochs=1).scores["test"]
    assert scores.dtype == np.float64 and ((scores > 0) & (scores < 1)).all()
    inputs = toy_inputs(300, 2)
    for row in (0, 17, 299):
        alone = used.predict({n: v[row : row + 1] for n, v in inputs.items()})
        assert alone[0] == pytest.approx(scores[row], rel=1e-4)
    assert used.predict({n: v[:0] for n, v in inputs.items()}).shape == (0,)


def by_hand(one: Trainer, seed: int, start: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """One epoch from ``start`` with NumPy's batches and steps outside the trainer's graph."""
    inputs, clicked = toy_rows(ROWS, 0)
    model = trainer().model
    model.set_learned(start)
    embeddings = [model.attributes, model.user, *model.context.values()]
    optimizer = keras.optimizers.Adam(0.02)
    order = np.random.default_rng(seed).permutation(ROWS)
    for first in range(0, ROWS, 64):
        chosen = order[first : first + 64]
        batch = {name: values[chosen] for name, values in inputs.items()}
        with tf.GradientTape() as tape:
            loss = model.compute_loss((batch, clicked[chosen].astype(np.float32)))
            squares = [tf.reduce_sum(e.embeddings**2) for e in embeddings]
            loss += 1.5e-4 * tf.add_n(squares)
        optimizer.minimize(loss, model.trainable_variables, tape)
    return model.learned()


def test_a_start_is_gone_on_from_with_a_new_optimizer(used: Trainer) -> None:
    start = fitted(used, seed=5, epochs=1).weights
    used.epochs = 1
    rows = toy_rows(ROWS, 0)
    went_on = used.fit(rows, toy_rows(300, 1), {}, 6, start=start)
    assert went_on.epochs == 1
    for name, weight in by_hand(used, 6, start).items():
        if name.endswith("attention.network.1.bias"):
            continue  # under a softmax: its gradient is rounding, which Adam makes large
        np.testing.assert_allclose(went_on.weights[name], weight, rtol=1e-3, atol=1e-4)


def test_goes_on_with_images_from_without(used: Trainer, plain: Fit) -> None:
    used.epochs = 2
    rows, validation = toy_rows(ROWS, 0), toy_rows(300, 1)
    fit = used.fit(rows, validation, {"test": toy_inputs(300, 2)}, 2, start=plain.weights)
    assert fit.epochs <= 2
    assert set(fit.weights) > set(plain.weights)
    assert roc_auc_score(toy_rows(300, 2)[1], fit.scores["test"]) > 0.8


def test_item_tables_are_what_training_sees(used: Trainer) -> None:
    first = fitted(used, seed=0, epochs=1).scores["test"]
    tables = toy_item_tables()
    used.set_item_tables(vectors=np.roll(tables["vectors"], 3, axis=0))
    other = fitted(used, seed=0, epochs=1).scores["test"]
    used.set_item_tables(vectors=tables["vectors"])
    again = fitted(used, seed=0, epochs=1).scores["test"]
    assert (first != other).any()
    np.testing.assert_array_equal(first, again)


def test_given_cosines_are_a_training_input() -> None:
    made = Trainer(toy_tables(), "sim_score", ranker="dcn", batch_size=64, learning_rate=0.02)
    inputs, _ = toy_rows(ROWS, 0)
    random = np.random.default_rng(0)
    mask = inputs["history"] > 0
    cosines = np.where(mask, random.uniform(-1, 1, [ROWS, HISTORY]), 0).astype(np.float32)
    clicked = (cosines.sum(axis=1) > 0).astype(np.int32)
    rows = {**inputs, "cosines": cosines}, clicked
    fit = made.fit(rows, rows, {}, 0)
    assert (
        roc_auc_score(clicked[mask.any(axis=1)], fit.scores["validation"][mask.any(axis=1)]) > 0.9
    )
