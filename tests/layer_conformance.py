"""Every public layer and loss, with inputs of every awkward kind, for one shared test."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras
from conformance_case import WIDTH, Case, Inputs, user_rows
from ranking_layer_cases import RANKING_CASES

from tfrec_vis import layers, losses


def _item_rows(kind: str, batch: int) -> Inputs:
    """shown [n, d], reconstruction [n, d], clicked [n], valid [n], item_index [n]."""
    rng = np.random.default_rng(batch)
    shown, rebuilt = rng.normal(size=(2, batch, WIDTH))
    clicked = rng.integers(0, 2, batch).astype(np.int32)
    valid = rng.random(batch) < 0.8
    item_index = rng.integers(0, 5, batch).astype(np.int32)
    if kind == "padding":
        valid[:] = False
    if kind == "no clicks":
        clicked[:] = 0
        rebuilt[:] = 0
    if kind == "duplicates":
        clicked[:], valid[:], item_index[:] = 1, True, 3
        shown[:], rebuilt[:] = shown[0], rebuilt[0]
    return [shown, rebuilt, clicked, valid, item_index]


def _users(kind: str, batch: int) -> Inputs:
    newest, rebuilt, clicked, valid, item_index = _item_rows(kind, batch)
    return [newest, rebuilt, valid & (clicked == 1 if kind == "no clicks" else True), item_index]


def _pairs(kind: str, batch: int) -> Inputs:
    shown, rebuilt, _, valid, _ = _item_rows(kind, batch)
    return [rebuilt, shown, valid]


def _logits(kind: str, batch: int) -> Inputs:
    shown, _, clicked, valid, _ = _item_rows(kind, batch)
    return [30 * shown[:, 0], clicked, valid]


def _stored(kind: str, batch: int) -> Inputs:
    shown, _, _, valid, item_index = _item_rows(kind, batch)
    return [shown, item_index, valid]


def _table(kind: str, batch: int) -> Inputs:
    rng = np.random.default_rng(batch)
    positions = rng.integers(-1, batch, (batch, 3)).astype(np.int32)
    if kind in ("padding", "no clicks"):
        positions[:] = -1
    if kind == "duplicates":
        positions[:] = 0
    return [rng.normal(size=(batch, WIDTH)), positions]


def _push_and_read(bank: Any, inputs: list[Any]) -> Any:
    bank.push(*inputs)
    embedding, item_index, valid = bank.read()
    return embedding, tf.where(valid, item_index, 0)


def _rebuild(layer: Any, x: tf.Tensor) -> tf.Tensor:
    return layer(x[:, :2], x[:, 2:], x[:, 2:, 0] > 5)


def _judge(head: Any, x: tf.Tensor) -> tf.Tensor:
    return head(x[:, 0], x[:, 1], x[:, 2, 0] > 2)[:, tf.newaxis]


def _reconstructions() -> list[Case]:
    case = partial(Case, inputs=user_rows, empty=("padding", "no clicks"), from_one=_rebuild)
    cross, within = layers.IntentionReconstruction, layers.SelfAttentionReconstruction
    return [
        case(cross.__name__, cross, options={"num_heads": 2, "project_values": True}),
        case(cross.__name__, cross, options={"num_heads": 2, "project_values": False}),
        case(within.__name__, within, options={"num_heads": 2, "project_values": True}),
        case("MeanReconstruction", layers.MeanReconstruction),
        case("NearestReconstruction", layers.NearestReconstruction),
    ]


CASES = [
    *_reconstructions(),
    *(
        Case(
            "ClickHead",
            layers.ClickHead,
            _pairs,
            from_one=_judge,
            options={"hidden": 16, "normalization": normalization},
        )
        for normalization in ("layer", "batch")
    ),
    Case(
        "LearnedTemperature",
        layers.LearnedTemperature,
        lambda kind, batch: [],
        empty=(),
        no_layer_test="has no input",
    ),
    Case(
        "MemoryBank",
        layers.MemoryBank,
        _stored,
        call=_push_and_read,
        options={"size": 4, "width": WIDTH},
        no_layer_test="has no output for its input",
    ),
    Case("gather_positions", layers.gather_positions, _table, empty=("padding", "no clicks")),
    Case("gather_replicas", layers.gather_replicas, _pairs, empty=()),
    *(
        Case(
            "PageViewContrast",
            losses.PageViewContrast,
            _item_rows,
            options=options,
            empty=("padding", "no clicks", "duplicates"),
        )
        for options in ({}, {"chunk_size": 3}, {"candidates": "unclicked"})
    ),
    *(
        Case(
            "ClickSequenceContrast",
            losses.ClickSequenceContrast,
            _users,
            options=options,
            empty=("padding", "no clicks", "duplicates"),
        )
        for options in ({}, {"chunk_size": 3})
    ),
    Case("ClickCrossEntropy", losses.ClickCrossEntropy, _logits),
    *RANKING_CASES,
]


@keras.saving.register_keras_serializable(package="tests")
class Holder(keras.layers.Layer):
    """A layer that holds the thing of a case and calls it as the case does.

    Args:
        case: index in ``CASES``.
        thing: what it holds; None: a new one.
        one_tensor: call it through ``from_one``.
    """

    def __init__(
        self, case: int, thing: Any = None, one_tensor: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.case, self.one_tensor = case, one_tensor
        self.thing = CASES[case].new() if thing is None else thing

    def call(self, inputs: Any) -> Any:
        case = CASES[self.case]
        if self.one_tensor:
            return case.from_one(self.thing, inputs)
        *given, extra = tf.nest.flatten(
            inputs
        )  # a model needs an input even where a layer takes none
        results = tf.nest.flatten(case.call(self.thing, given))
        return [tf.cast(result, extra.dtype) + extra[0] for result in results]

    def get_config(self) -> dict[str, Any]:
        thing = None
        if not CASES[self.case].is_function:
            thing = keras.saving.serialize_keras_object(self.thing)
        return {
            **super().get_config(),
            "case": self.case,
            "thing": thing,
            "one_tensor": self.one_tensor,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Holder:
        thing = config.pop("thing")
        if isinstance(thing, dict):
            thing = keras.saving.deserialize_keras_object(thing)
        return cls(thing=thing, **config)
