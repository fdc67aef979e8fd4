from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from ranking_cases import WIDTH, Inputs, tables_for, toy_inputs, toy_vectors
from sklearn.metrics import roc_auc_score

from tfrec_vis.ranking import Trainer
from tfrec_vis.ranking.trainer import Fit

ROWS = 600


@pytest.fixture(scope="module", autouse=True)
def deterministic() -> None:
    """As every run of the workflow is."""
    tf.config.experimental.enable_op_determinism()


def toy_rows(feature: str, rows: int, seed: int) -> tuple[Inputs, np.ndarray]:
    """Clicks are decided by the item's category, 19 times of 20."""
    inputs = toy_inputs(rows, feature, seed)
    flipped = np.random.default_rng(seed + 100).random(rows) < 0.05
    return inputs, ((inputs["item"] % 4 < 2) != flipped).astype(np.int32)


def trainer() -> Trainer:
    made = Trainer(tables_for("vector"), "vector", WIDTH, batch_size=64, learning_rate=0.02)
    made.set_item_tables(tables_for("vector"), toy_vectors())
    return made


@pytest.fixture(scope="module")
def used() -> Trainer:
    """One trainer for all tests: what it trained before must not matter."""
    return trainer()


def fitted(one: Trainer, seed: int, epochs: int, rows_seed: int = 0) -> Fit:
    one.epochs = epochs
    train = toy_rows("vector", ROWS, rows_seed)
    return one.fit(train, toy_rows("vector", 300, 1), {"test": toy_inputs(300, "vector", 2)}, seed)


def test_the_same_seed_gives_the_same_scores_whatever_came_before(used: Trainer) -> None:
    first = fitted(used, seed=3, epochs=2)
    other = fitted(used, seed=4, epochs=1, rows_seed=7)
    again = fitted(used, seed=3, epochs=2)
    new = fitted(trainer(), seed=3, epochs=2)
    for one in (again, new):
        assert one.epochs == first.epochs
        for name in ("validation", "test"):
            np.testing.assert_array_equal(one.scores[name], first.scores[name])
        for mine, theirs in zip(one.weights, first.weights, strict=True):
            np.testing.assert_array_equal(mine, theirs)
    assert (other.scores["test"] != first.scores["test"]).any()


def test_another_seed_gives_other_scores(used: Trainer) -> None:
    first, second = fitted(used, seed=0, epochs=1), fitted(used, seed=1, epochs=1)
    assert (first.scores["test"] != second.scores["test"]).any()


def test_learns_an_obvious_signal(used: Trainer) -> None:
    fit = fitted(used, seed=0, epochs=4)
    assert roc_auc_score(toy_rows("vector", 300, 2)[1], fit.scores["test"]) > 0.8


def test_keeps_the_weights_of_the_best_epoch(used: Trainer) -> None:
    inputs, clicked = toy_rows("vector", 300, 1)
    fit = fitted(used, seed=0, epochs=8)
    assert 1 <= fit.epochs < 8  # the signal is learnt long before
    np.testing.assert_array_equal(used.predict(inputs), fit.scores["validation"])
    at_best = fitted(used, seed=0, epochs=fit.epochs)
    np.testing.assert_array_equal(at_best.scores["test"], fit.scores["test"])
    first = fitted(used, seed=0, epochs=1)
    reached = [roc_auc_score(clicked, f.scores["validation"]) for f in (first, fit)]
    assert reached[0] <= reached[1]


def test_scores_are_probabilities_in_the_order_of_the_rows(used: Trainer) -> None:
    scores = fitted(used, seed=0, epochs=1).scores["test"]
    assert scores.dtype == np.float64 and ((scores > 0) & (scores < 1)).all()
    inputs = toy_inputs(300, "vector", 2)
    for row in (0, 17, 299):
        alone = used.predict({n: v[row : row + 1] for n, v in inputs.items()})
        assert alone[0] == pytest.approx(scores[row], rel=1e-4)
    assert used.predict({n: v[:0] for n, v in inputs.items()}).shape == (0,)
