"""What a case of the conformance test is: one public layer or loss and its inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

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
        options: of the layer or loss.
        one_dtype: it has no choice of dtype.
        names: of its inputs, where it takes them as one dictionary.
    """

    public: str
    make: Callable[..., Any]
    inputs: Callable[[str, int], Inputs]
    call: Callable[[Any, list[Any]], Any] = lambda thing, inputs: thing(*inputs)
    empty: tuple[str, ...] = ("padding",)
    from_one: Callable[[Any, tf.Tensor], tf.Tensor] | None = None
    no_layer_test: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    one_dtype: bool = False
    names: tuple[str, ...] = ()

    @property
    def is_layer(self) -> bool:
        return isinstance(self.make, type) and issubclass(self.make, keras.layers.Layer)

    @property
    def is_function(self) -> bool:
        return not isinstance(self.make, type)

    def shapes(self) -> Any:
        """What ``build`` is given."""
        shapes = [tf.TensorShape([None, *x.shape[1:]]) for x in self.inputs("usual", 7)]
        return dict(zip(self.names, shapes, strict=True)) if self.names else shapes[0]

    @property
    def id(self) -> str:
        return "-".join([self.public, *(str(value) for value in self.options.values())])

    def new(self, dtype: str | None = None) -> Any:
        """A layer of a dtype policy, a loss, or the function itself."""
        if self.is_function:
            return self.make
        has_dtype = self.is_layer and not self.one_dtype
        return self.make(**self.options, **({"dtype": dtype} if has_dtype else {}))


def user_rows(kind: str, batch: int) -> Inputs:
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
