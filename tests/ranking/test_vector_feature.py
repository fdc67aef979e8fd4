from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from feature_oracles import attended, random_weights

from tfrec_vis.ranking import VectorFeature

ROWS, CLICKS, WIDTH, UNITS = 7, 5, 6, 4


def inputs() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row 0 without clicks, 1 full, 2 with a target, 3 with two clicks unpictured."""
    random = np.random.default_rng(0)
    target, history = random.normal(size=[ROWS, WIDTH]), random.normal(size=[ROWS, CLICKS, WIDTH])
    mask = random.random([ROWS, CLICKS]) < 0.6
    mask[0], mask[1], mask[3] = False, True, True
    target[2], history[3, :2] = 0, 0
    return target, history, mask


@pytest.fixture
def layer() -> VectorFeature:
    layer = VectorFeature(UNITS, dtype="float64")
    layer.build(tf.TensorShape([None, WIDTH]))
    random_weights(layer)
    return layer


def by_loop(layer: VectorFeature, target: np.ndarray, history: np.ndarray, mask: np.ndarray):
    kernel, rows = layer.projection.kernel.numpy(), []
    for e, clicks, there in zip(target, history, mask, strict=True):
        keys = np.array([[click @ column for column in kernel.T] for click in clicks])
        valid = np.array(
            [v and any(click) and any(e) for v, click in zip(there, clicks, strict=True)]
        )
        query = np.array([e @ column for column in kernel.T])
        rows.append(np.concatenate([query, attended(layer.attention, query, keys, valid)]))
    return np.array(rows)


def test_equals_a_loop(layer: VectorFeature) -> None:
    expected = by_loop(layer, *inputs())
    np.testing.assert_allclose(layer(*inputs()), expected, rtol=1e-9, atol=1e-12)


def test_what_has_no_picture_gives_zeros(layer: VectorFeature) -> None:
    out = layer(*inputs()).numpy()
    assert not out[0, UNITS:].any() and inputs()[2][2].any() and not out[2].any()
    target, history, mask = inputs()
    shorter = mask.copy()
    shorter[3, :2] = False
    np.testing.assert_array_equal(layer(target, history, shorter), out)
    assert not layer(target, 0 * history, mask).numpy()[:, UNITS:].any()


def test_equal_clicks_look_the_same_however_many(layer: VectorFeature) -> None:
    target, history, _ = inputs()
    target, history = np.tile(target[:1], [CLICKS, 1]), np.tile(history[0, 0], [CLICKS, CLICKS, 1])
    out = layer(target, history, np.arange(CLICKS) < np.arange(1, CLICKS + 1)[:, None]).numpy()
    np.testing.assert_allclose(out, np.tile(out[:1], [CLICKS, 1]), rtol=1e-9)
