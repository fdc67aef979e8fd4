"""The public layers of the ranking room for the conformance test."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf
from conformance_case import WIDTH, Case, Inputs, user_rows

from tfrec_vis import ranking

CLICKS, CLUSTERS, LEVELS, CODES, ITEMS, CATEGORIES = 4, 5, 3, 4, 12, 3


BODY_INPUTS = ("target", "history", "history_mask", "fields", "dense")


def _embedded(kind: str, batch: int) -> Inputs:
    """What the body of a ranker takes, of two attributes and one other field."""
    rng = np.random.default_rng(batch)
    target, fields, dense = (rng.normal(size=[batch, *s]) for s in ([2, WIDTH], [1, WIDTH], [5]))
    history = rng.normal(size=[batch, CLICKS, 2, WIDTH])
    if kind == "padding":
        target[:], fields[:], dense[:] = 0, 0, 0
    if kind == "duplicates":
        target[:], history[:] = target[0], target[0]
    return [target, history, user_rows(kind, batch)[2], fields, dense]


def _unit_rows(kind: str, batch: int) -> Inputs:
    """target [n, d], history [n, 4, d], mask [n, 4]; every third target without a picture."""
    query, history, mask = user_rows(kind, batch)
    target = query[:, 0] / np.linalg.norm(query[:, 0], axis=-1, keepdims=True)
    target[2::3] = 0
    return [target, history / np.linalg.norm(history, axis=-1, keepdims=True), mask]


def _numbers(low: int, high: int, shape: tuple[int, ...], kind: str, batch: int) -> Inputs:
    """target [n, ...], history [n, 4, ...], mask [n, 4] of whole numbers."""
    rng = np.random.default_rng(batch)
    target = rng.integers(low, high, [batch, *shape]).astype(np.int32)
    history = rng.integers(low, high, [batch, CLICKS, *shape]).astype(np.int32)
    if kind == "duplicates":
        target[:], history[:] = high - 1, high - 1
    return [target, history, user_rows(kind, batch)[2]]


def _ids(kind: str, batch: int) -> Inputs:
    target, history, mask = _numbers(-1, CLUSTERS, (), kind, batch)
    return [np.full_like(target, -1) if kind == "padding" else target, history, mask]


def _codes(kind: str, batch: int) -> Inputs:
    target, history, mask = _numbers(0, CODES, (LEVELS,), kind, batch)
    history[::2, 1] = -1
    return [np.full_like(target, -1) if kind == "padding" else target, history, mask]


def _items(kind: str, batch: int) -> Inputs:
    item, history, mask = _numbers(0, ITEMS, (), kind, batch)
    return [np.zeros_like(item) if kind == "padding" else item, np.where(mask, history, 0)]


def _categories(kind: str, batch: int) -> Inputs:
    feature, _, _ = _unit_rows(kind, batch)
    if kind == "padding":
        feature[:] = 0
    return [feature, np.arange(batch, dtype=np.int32) % CATEGORIES]


def _columns(kind: str, batch: int) -> Inputs:
    values = np.random.default_rng(batch).normal(size=[batch, WIDTH])
    return [np.zeros_like(values) if kind == "padding" else values]


def _events(kind: str, batch: int) -> Inputs:
    item, _, _ = _numbers(0, ITEMS, (), kind, batch)
    return [item, np.full(batch, 10**9, np.int64)]


def _of_items(layer: Any, inputs: list[Any]) -> Any:
    """Fills the tables as a rankers' trainer does, then calls the layer."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=[ITEMS, WIDTH])
    vectors[[0, 5]] = 0
    layer.set_tables(
        vectors=vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9),
        categories=np.arange(ITEMS) % CATEGORIES,
    )
    return layer(*inputs)


def _of_events(layer: Any, inputs: list[Any]) -> Any:
    layer.set_events(np.arange(ITEMS), 10**9 - 1 - 86_400 * np.arange(ITEMS))
    return layer(*inputs)


def _named(layer: Any, inputs: list[Any]) -> Any:
    return layer(dict(zip(BODY_INPUTS, inputs, strict=True)))


def _body_of(layer: Any, x: tf.Tensor) -> tf.Tensor:
    x = x / 30
    history = tf.stack([x[:, 1:5], x[:, 2:6]], axis=2)
    return _named(layer, [x[:, :2], history, x[:, 1:5, 0] > 0.2, x[:, 5:], x[:, 3]])


def _rows_of(layer: Any, x: tf.Tensor) -> tf.Tensor:
    return layer(x[:, 0] / 30, x[:, 1:5] / 30, x[:, 1:5, 0] > 5)


def _ids_of(layer: Any, x: tf.Tensor) -> tf.Tensor:
    ids = tf.cast(x, tf.int32) % 4
    return layer(ids[:, 0, 0], ids[:, 1:5, 0], x[:, 1:5, 1] > 5)


def _codes_of(layer: Any, x: tf.Tensor) -> tf.Tensor:
    codes = tf.cast(x, tf.int32) % CODES
    return layer(codes[:, 0, :LEVELS], codes[:, 1:5, :LEVELS], x[:, 1:5, 0] > 5)


def _gated_of(layer: Any, x: tf.Tensor) -> tf.Tensor:
    return layer(x[:, 0], tf.cast(x[:, 1, 0], tf.int32) % CATEGORIES)


def _items_of(layer: Any, x: tf.Tensor) -> tf.Tensor:
    items = tf.cast(x, tf.int32) % ITEMS
    return layer(items[:, 0, 0], items[:, 1:5, 0])


def _events_of(layer: Any, x: tf.Tensor) -> tf.Tensor:
    return layer(tf.cast(x[:, 0, 0], tf.int32), tf.cast(x[:, 1, 0], tf.int64))


_body = partial(
    Case, inputs=_embedded, call=_named, names=BODY_INPUTS, from_one=_body_of, empty=("padding",)
)
_vectors = partial(Case, inputs=_unit_rows, from_one=_rows_of)
RANKING_CASES = [
    _vectors("SimScore", ranking.SimScore, empty=("padding", "no clicks")),
    _vectors("SimTier", ranking.SimTier, empty=("padding", "no clicks")),
    _vectors("SimTier", ranking.SimTier, options={"bins": 5, "share": False}),
    _vectors("TargetAttention", ranking.TargetAttention, empty=("padding", "no clicks")),
    _body("Din", ranking.Din),
    _body("Dcn", ranking.Dcn, options={"cross": 1, "units": (8, 4)}),
    _body("Dlrm", ranking.Dlrm, options={"bottom": (6,), "units": (8, 4)}),
    _vectors("VectorFeature", ranking.VectorFeature, empty=(), options={"units": 3}),
    Case(
        "ClusterIdFeature",
        ranking.ClusterIdFeature,
        _ids,
        from_one=_ids_of,
        options={"clusters": CLUSTERS, "units": 3},
    ),
    Case(
        "SemanticIdFeature",
        ranking.SemanticIdFeature,
        _codes,
        from_one=_codes_of,
        options={"levels": LEVELS, "codes": CODES, "units": 3},
    ),
    Case(
        "VisualGate",
        ranking.VisualGate,
        _categories,
        from_one=_gated_of,
        options={"categories": CATEGORIES},
    ),
    Case(
        "VisualFeatures",
        ranking.VisualFeatures,
        _items,
        call=_of_items,
        from_one=_items_of,
        options={
            "features": ("vector", "sim_score", "sim_tier"),
            "items": ITEMS,
            "history": CLICKS,
            "vector_dim": WIDTH,
            "categories": CATEGORIES,
            "units": 3,
        },
    ),
    Case(
        "Standardize",
        ranking.Standardize,
        _columns,
        from_one=lambda layer, x: layer(x[:, 0]),
        options={"width": WIDTH},
    ),
    Case(
        "ItemStatistics",
        ranking.ItemStatistics,
        _events,
        call=_of_events,
        from_one=_events_of,
        empty=(),
        options={"events": ITEMS},
        one_dtype=True,
    ),
]
