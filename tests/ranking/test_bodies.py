"""The bodies of rankers against plain loops in float64."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import tf_keras as keras

from tfrec_vis.ranking import Dcn, Din, Dlrm

ROWS, CLICKS, ATTRIBUTES, WIDTH = 4, 3, 2, 5
Inputs = dict[str, np.ndarray]


def body_inputs() -> Inputs:
    random = np.random.default_rng(0)
    mask = np.array([[1, 1, 1], [0, 1, 0], [1, 1, 0], [0, 0, 0]], bool)
    return {
        "target": random.normal(size=[ROWS, ATTRIBUTES, WIDTH]),
        "history": random.normal(size=[ROWS, CLICKS, ATTRIBUTES, WIDTH]),
        "history_mask": mask,
        "fields": random.normal(size=[ROWS, 1, WIDTH]),
        "dense": random.normal(size=[ROWS, 3]),
    }


def moved(body: keras.layers.Layer, inputs: Inputs) -> dict[str, np.ndarray]:
    """Gives the body large random weights; returns them by name."""
    body(inputs)
    random = np.random.default_rng(1)
    body.set_weights([random.normal(scale=0.4, size=w.shape) for w in body.weights])
    holder = keras.Sequential([body])
    names = {weight.ref(): name for name, weight in holder.get_weight_paths().items()}
    return {names[w.ref()].removeprefix(f"{body.name}."): w.numpy() for w in body.weights}


def dense(x: np.ndarray, weights: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    return x @ weights[f"{name}.kernel"] + weights[f"{name}.bias"]


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def crossed(first: np.ndarray, weights: Mapping[str, np.ndarray], layers: int) -> np.ndarray:
    x = first
    for number in range(layers):
        x = first * dense(x, weights, f"cross_layers.{number}._dense") + x
    return x


def through(x: np.ndarray, weights: Mapping[str, np.ndarray], layers: int) -> np.ndarray:
    for number in range(layers):
        x = relu(dense(x, weights, f"dense_layers.{number}"))
    return x


def mean_clicks(history: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return history[mask].mean(axis=0) if mask.any() else np.zeros(history.shape[1:])


def din_row(row: Inputs, weights: Mapping[str, np.ndarray]) -> np.ndarray:
    target, interest = row["target"].ravel(), np.zeros(ATTRIBUTES * WIDTH)
    clicks = [click.ravel() for click in row["history"][row["history_mask"]]]
    if clicks:
        scores = []
        for click in clicks:
            x = np.concatenate([target, click, target - click, target * click])
            x = relu(dense(x, weights, "attention.network.0"))
            scores.append(dense(x, weights, "attention.network.1")[0])
        shares = np.exp(scores) / np.exp(scores).sum()
        interest = sum(s * c for s, c in zip(shares, clicks, strict=True))
    first = np.concatenate([target, interest, row["fields"].ravel(), row["dense"]])
    return through(crossed(first, weights, 2), weights, 2)


def dcn_row(row: Inputs, weights: Mapping[str, np.ndarray]) -> np.ndarray:
    pooled = mean_clicks(row["history"], row["history_mask"])
    parts = [row["target"].ravel(), pooled.ravel(), row["fields"].ravel(), row["dense"]]
    first = np.concatenate(parts)
    return np.concatenate([through(first, weights, 2), crossed(first, weights, 2)])


def dlrm_row(row: Inputs, weights: Mapping[str, np.ndarray]) -> np.ndarray:
    hidden = relu(dense(row["dense"], weights, "bottom_layers.0"))
    bottom = dense(hidden, weights, "bottom_layers.1")
    pooled = mean_clicks(row["history"], row["history_mask"])
    vectors = np.concatenate([row["target"], pooled, row["fields"], bottom[np.newaxis]])
    products = [
        vectors[i] @ vectors[j] if j < i else 0.0
        for i in range(len(vectors))
        for j in range(len(vectors))
    ]
    return through(np.concatenate([bottom, products]), weights, 2)


@pytest.mark.parametrize(("body", "row_of"), [(Din, din_row), (Dcn, dcn_row), (Dlrm, dlrm_row)])
def test_equals_plain_loops(body, row_of) -> None:
    layer, inputs = body(dtype="float64"), body_inputs()
    weights = moved(layer, inputs)
    rows = [{name: values[i] for name, values in inputs.items()} for i in range(ROWS)]
    expected = np.stack([row_of(row, weights) for row in rows])
    assert (np.abs(expected) > 1e-3).any(axis=1).all()
    np.testing.assert_allclose(layer(inputs), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("body", [Din, Dcn, Dlrm])
def test_new_numbers_weigh_nothing_where_their_rows_of_the_kernels_are_zero(body) -> None:
    """What a warm start relies on: the last numbers are the last inputs of every kernel."""
    inputs = body_inputs()
    narrow, wide = body(units=(4, 3), dtype="float64"), body(units=(4, 3), dtype="float64")
    more = {**inputs, "dense": np.pad(inputs["dense"], [(0, 0), (0, 2)], constant_values=9.0)}
    kernels, grown = moved(narrow, inputs), moved(wide, more)
    assert kernels.keys() == grown.keys()
    for weight, value in zip(wide.weights, narrow.get_weights(), strict=True):
        larger = weight.numpy()
        if larger.ndim == 2:
            larger[:, : value.shape[1]] = 0
        larger[tuple(slice(size) for size in value.shape)] = value
        weight.assign(larger)
    out, before = wide(more).numpy(), narrow(inputs).numpy()
    np.testing.assert_allclose(out[:, : before.shape[1]], before, rtol=1e-12)
