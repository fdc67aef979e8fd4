from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfrec_vis.ranking import SimTier

ROWS, CLICKS, WIDTH = 9, 6, 3


def inputs() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit vectors; row 0 without clicks, 1 full, 2 with a target, 3 with clicks unpictured."""
    random = np.random.default_rng(0)
    target, history = random.normal(size=[ROWS, WIDTH]), random.normal(size=[ROWS, CLICKS, WIDTH])
    target /= np.linalg.norm(target, axis=-1, keepdims=True)
    history /= np.linalg.norm(history, axis=-1, keepdims=True)
    mask = random.random([ROWS, CLICKS]) < 0.6
    mask[0], mask[1] = False, True
    history[1, 0], history[1, 1] = target[1], -target[1]  # the two ends
    target[2], history[3, :4], mask[3] = 0, 0, True
    return target, history, mask


def by_loop(
    bins: int, share: bool, target: np.ndarray, history: np.ndarray, mask: np.ndarray
) -> np.ndarray:
    """Edges and counts by search: what is above one edge and not above the next."""
    edges = [-1 + 2 * b / bins for b in range(1, bins)]
    rows = np.zeros([len(target), bins])
    for n in range(len(target)):
        clicks = 0
        for i in range(mask.shape[1]):
            if mask[n, i] and any(target[n]) and any(history[n, i]):
                clicks += 1
                rows[n, sum(float(target[n] @ history[n, i]) >= edge for edge in edges)] += 1
        for b in range(bins):
            count = rows[n, b]
            if share and clicks:
                count = bins * count / clicks
            rows[n, b] = np.log(1 + count)
    return rows


@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize("bins", [1, 2, 7, 20])
def test_equals_a_loop(bins: int, share: bool) -> None:
    layer = SimTier(bins, share, dtype="float64")
    weight = np.random.default_rng(1).normal(size=bins)
    layer.bin_weight.assign(weight)
    expected = by_loop(bins, share, *inputs()) * weight
    np.testing.assert_allclose(layer(*inputs()), expected, rtol=1e-12, atol=1e-12)
    assert not expected[[0, 2]].any() and expected[3].any()


def test_starts_within_0_and_1() -> None:
    out = SimTier()(*inputs()).numpy()
    assert out.min() == 0 and 0.5 < out.max() <= 1 + 1e-6
    one_click = SimTier().from_scores(np.array([[0.33, 0]], np.float32), np.array([[True, False]]))
    np.testing.assert_allclose(one_click, np.eye(20)[[13]], rtol=1e-6)


def test_shares_do_not_tell_the_length_of_the_history_and_counts_do() -> None:
    scores = np.tile(np.array([-0.5, 0.5], np.float32), [4, 4])  # 2, 4, 6, 8 clicks
    mask = np.arange(8) < 2 * np.arange(1, 5)[:, None]
    shares = SimTier().from_scores(scores, mask).numpy()
    np.testing.assert_allclose(shares, np.tile(shares[0], [4, 1]), rtol=1e-6)
    counts = SimTier(share=False).from_scores(scores, mask).numpy().sum(axis=1)
    assert (np.diff(counts) > 0.05).all()


def test_padding_has_no_influence() -> None:
    target, history, mask = inputs()
    dirty = np.where(mask[..., None], history, np.nan)
    np.testing.assert_array_equal(SimTier()(target, dirty, mask), SimTier()(target, history, mask))


def test_cosines_beyond_1_by_rounding_belong_to_the_last_bins() -> None:
    scores = np.array([[1 + 1e-6, -1 - 1e-6]], np.float32)
    out = SimTier().from_scores(scores, np.ones([1, 2], bool)).numpy()
    np.testing.assert_array_equal(np.flatnonzero(out[0]), [0, 19])


def test_only_the_bins_weights_are_trained() -> None:
    layer = SimTier()
    target, history, mask = (tf.constant(x) for x in inputs())
    with tf.GradientTape() as tape:
        tape.watch([target, history])
        loss = tf.reduce_sum(layer(target, history, mask))
    trained, *vectors = tape.gradient(loss, [layer.bin_weight, target, history])
    np.testing.assert_allclose(trained, by_loop(20, True, *inputs()).sum(axis=0), rtol=1e-5)
    assert vectors == [None, None]


def test_no_bins_are_refused() -> None:
    with pytest.raises(ValueError, match="expected bins of at least 1, got 0"):
        SimTier(0)


def test_vectors_are_not_rounded_to_halves_before_the_bins() -> None:
    """A cosine of 0.4999 belongs below the edge at 0.5, to which bfloat16 rounds it."""
    target = np.array([[1, 0]], np.float32)
    clicks = np.array([[[0.4999, np.sqrt(1 - 0.4999**2)]]], np.float32)
    out = SimTier(dtype="mixed_bfloat16")(target, clicks, np.array([[True]]))
    assert out.dtype == tf.bfloat16
    np.testing.assert_array_equal(np.flatnonzero(tf.cast(out[0], tf.float32)), [14])
