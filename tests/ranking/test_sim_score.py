from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from ranking_cases import ITEMS, toy_vectors

from tfrec_vis.ranking import SimScore


def sim_score_by_loop(target: np.ndarray, history: np.ndarray, mask: np.ndarray) -> np.ndarray:
    rows = []
    for q, clicks, valid in zip(target, history, mask, strict=True):
        known = sorted((float(q @ k) for k in clicks[valid]), reverse=True)
        fill = np.mean(known) if known else 0.0  # padding says nothing of its own
        scores = [float(q @ k) if v else fill for k, v in zip(clicks, valid, strict=True)]
        summaries = [np.mean(known), known[0], np.mean(known[:3])] if known else [0.0, 0.0, 0.0]
        rows.append([*scores, *summaries])
    return np.array(rows)


@pytest.mark.parametrize("length", [1, 2, 5])
def test_sim_score_equals_a_loop(length: int) -> None:
    random = np.random.default_rng(0)
    vectors = toy_vectors()
    item = random.integers(1, ITEMS + 1, 12)
    history = random.integers(0, ITEMS + 1, [12, length])
    history[0], history[1] = 0, ITEMS
    if length > 1:
        history[2], history[2, 0] = 0, 4  # fewer than three clicks
    target, clicks, mask = vectors[item], vectors[history], history > 0
    expected = sim_score_by_loop(target, clicks, mask)
    np.testing.assert_allclose(SimScore()(target, clicks, mask), expected, rtol=1e-5, atol=1e-6)


def test_sim_score_of_clicks_that_are_all_opposite_is_not_lifted_to_zero() -> None:
    target = np.array([[1.0, 0.0]], np.float32)
    clicks = np.array([[[-1.0, 0.0], [-0.6, 0.8], [0.0, 0.0]]], np.float32)
    scores = SimScore()(target, clicks, np.array([[True, True, False]]))
    np.testing.assert_allclose(scores, [[-1.0, -0.6, -0.8, -0.8, -0.6, -0.8]], rtol=1e-6)


def test_sim_score_of_an_empty_history_and_of_padding() -> None:
    vectors = toy_vectors()
    item, history = np.array([1, 2]), np.array([[0, 0, 0], [5, 0, 0]])
    mask = history > 0
    scores = SimScore()(vectors[item], vectors[history], mask).numpy()
    np.testing.assert_array_equal(scores[0], 0.0)
    dirty = np.where(mask[..., None], vectors[history], 7.0).astype(np.float32)
    np.testing.assert_array_equal(SimScore()(vectors[item], dirty, mask), scores)


def test_sim_score_of_given_cosines_reads_no_padding() -> None:
    random = np.random.default_rng(2)
    target, clicks = random.normal(size=[6, 3]), random.normal(size=[6, 4, 3])
    mask = random.random([6, 4]) < 0.5
    given = np.where(mask, np.einsum("nd,nld->nl", target, clicks), np.nan)
    scores = SimScore(dtype="float64").from_scores(given, mask)
    np.testing.assert_allclose(scores, sim_score_by_loop(target, clicks, mask), rtol=1e-12)


def test_sim_score_does_not_tell_the_length_of_the_history() -> None:
    """Clicks of one cosine look the same, whether there is one or five."""
    scores = np.full([5, 5], 0.25, np.float32)
    mask = np.arange(5) < np.arange(1, 6)[:, None]
    rows = SimScore().from_scores(scores, mask).numpy()
    np.testing.assert_allclose(rows, 0.25, rtol=1e-6)


def test_a_history_of_unknown_length_in_a_graph() -> None:
    random = np.random.default_rng(3)
    spec = [tf.TensorSpec([None, None, 3]), tf.TensorSpec([None, None], tf.bool)]
    call = tf.function(lambda h, m: SimScore()(h[:, 0], h, m), spec, autograph=False)
    for length in (1, 2, 5):
        clicks = random.normal(size=[4, length, 3]).astype(np.float32)
        mask = np.arange(length) < random.integers(0, length + 1, [4, 1])
        expected = sim_score_by_loop(clicks[:, 0], clicks, mask)
        np.testing.assert_allclose(call(clicks, mask), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_scores_are_rounded_to_halves_once_they_are_there(policy: str) -> None:
    random = np.random.default_rng(4)
    target, clicks = random.normal(size=[6, 3]), random.normal(size=[6, 4, 3])
    inputs = target.astype(np.float32), clicks.astype(np.float32), random.random([6, 4]) < 0.7
    out, exact = SimScore(dtype=policy)(*inputs), SimScore()(*inputs)
    assert out.dtype.name == policy.removeprefix("mixed_")
    np.testing.assert_array_equal(
        tf.cast(out, tf.float32), tf.cast(tf.cast(exact, out.dtype), tf.float32)
    )
