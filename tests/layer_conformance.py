"""Every public layer and loss, with inputs of every awkward kind, for one shared test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from tfrec_vis import layers, losses

WIDTH = 8
# What inputs are made for: (kind, batch).
KINDS = [
    ("usual", 0),
    ("usual", 1),
    ("usual", 7),
    ("padding", 5),
    ("no clicks", 5),
    ("duplicates", 6),
]
Inputs = list[np.ndarray]


@dataclass(frozen=True)
class Case:
    """One public name.

    Attributes:
        public: the name in ``__all__``.
        make: makes the layer or loss; layers take ``dtype``.
        inputs: (kind, batch) -> its arguments, floats in float64.
        call: (layer or loss, inputs) -> a tensor or several.
        empty: kinds for which all that comes out is 0.
        from_one: for ``layer_test``: (layer, [n, 6, WIDTH]) -> [n, ...]; None with a reason.
        no_layer_test: why ``layer_test`` has nothing to test.
    """

    public: str
    make: Callable[..., Any]
    inputs: Callable[[str, int], Inputs]
    call: Callable[[Any, list[Any]], Any] = lambda thing, inputs: thing(*inputs)
    empty: tuple[str, ...] = ("padding",)
    from_one: Callable[[Any, tf.Tensor], tf.Tensor] | None = None
    no_layer_test: str = ""
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def is_layer(self) -> bool:
        return isinstance(self.make, type) and issubclass(self.make, keras.layers.Layer)

    @property
    def is_function(self) -> bool:
        return not isinstance(self.make, type)

    @property
    def id(self) -> str:
        return "-".join([self.public, *(str(value) for value in self.options.values())])

    def new(self, dtype: str | None = None) -> Any:
        """A layer of a dtype policy, a loss, or the function itself."""
        if self.is_function:
            return self.make
        return self.make(**self.options, **({"dtype": dtype} if self.is_layer else {}))


def _user_rows(kind: str, batch: int) -> Inputs:
    """query [b, 3, d], history [b, 4, d], mask [b, 4]."""
    rng = np.random.default_rng(batch)
    query, history = rng.normal(size=(batch, 3, WIDTH)), rng.normal(size=(batch, 4, WIDTH))
    mask = rng.random((batch, 4)) < 0.6
    mask[:1, 1] = True
    if kind in ("padding", "no clicks"):
        mask[:] = False
    if kind == "duplicates":
        query[:], history[:] = query[0, 0], history[0, 0]
    return [query, history, mask]


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
    case = partial(Case, inputs=_user_rows, empty=("padding", "no clicks"), from_one=_rebuild)
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
