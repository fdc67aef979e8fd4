from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfrec_vis.ranking import TargetAttention

ROWS, CLICKS, WIDTH = 6, 4, 3


def inputs() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    mask = random.random([ROWS, CLICKS]) < 0.6
    mask[0], mask[1] = False, True
    return (
        random.normal(size=[ROWS, WIDTH]).astype(np.float32),
        random.normal(size=[ROWS, CLICKS, WIDTH]).astype(np.float32),
        mask,
    )


def by_loop(layer: TargetAttention, target: np.ndarray, history: np.ndarray, mask: np.ndarray):
    weights = [(d.kernel.numpy().astype(float), d.bias.numpy()) for d in layer.network]
    pooled = np.zeros_like(target, dtype=float)
    for n in range(len(target)):
        scores = {}
        for i in np.flatnonzero(mask[n]):
            q, k = target[n].astype(float), history[n, i].astype(float)
            x = np.concatenate([q, k, q - k, q * k])
            for kernel, bias in weights[:-1]:
                x = np.maximum(x @ kernel + bias, 0)
            scores[i] = np.exp((x @ weights[-1][0] + weights[-1][1])[0])
        for i, score in scores.items():
            pooled[n] += score / sum(scores.values()) * history[n, i]
    return pooled


@pytest.mark.parametrize("units", [(), (5,), (7, 4)])
def test_equals_a_loop(units: tuple[int, ...]) -> None:
    layer = TargetAttention(units)
    pooled = layer(*inputs())
    assert len(layer.network) == len(units) + 1
    for dense in layer.network:
        dense.bias.assign(tf.random.normal(dense.bias.shape))
    pooled = layer(*inputs())
    np.testing.assert_allclose(pooled, by_loop(layer, *inputs()), rtol=1e-4, atol=1e-6)


def test_an_empty_history_gives_zeros() -> None:
    target, history, mask = inputs()
    np.testing.assert_array_equal(TargetAttention()(target, history, mask)[0], 0.0)


def test_padding_has_no_influence() -> None:
    target, history, mask = inputs()
    layer = TargetAttention()
    other = np.where(mask[..., None], history, 1e4).astype(np.float32)
    np.testing.assert_array_equal(layer(target, history, mask), layer(target, other, mask))
    with tf.GradientTape() as tape:
        watched = tf.constant(history)
        tape.watch(watched)
        pooled = layer(target, watched, mask)
    gradient = tape.gradient(pooled, watched).numpy()
    np.testing.assert_array_equal(gradient[~mask], 0.0)
    assert np.abs(gradient[mask]).max() > 0


def test_configuration_round_trip() -> None:
    layer = TargetAttention((9, 2), name="attention")
    again = TargetAttention.from_config(layer.get_config())
    assert (again.units, again.name) == ((9, 2), "attention")
