"""Random layers that draw the same numbers a second time."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


class Replay:
    """The states of a model's random layers, kept and put back.

    Known are Keras's random layers (``Dropout`` and all others on ``BaseRandomLayer``), which are
    made to draw from a ``tf.random.Generator`` where they would use operations that cannot be
    replayed; layers that have a ``tf.random.Generator``, as keras-cv's augmentations do; and
    keras-cv's layers with a ``SeedGenerator`` (``DropPath``: its seed is a constant of the traced
    step). What a layer draws by ``tf.random.uniform`` and its like cannot be drawn again.

    Args:
        model: a Keras model or layer; its layers are looked for here, once.

    Attributes:
        generators: of the random layers, to be kept in a checkpoint.
    """

    def __init__(self, model: tf.Module) -> None:
        found: dict[int, tf.random.Generator] = {}
        self._seeds: list[Any] = []
        for layer in (model, *model.submodules):
            for own in list(vars(layer).values()):
                if hasattr(own, "_rng_type"):
                    if own._rng_type == own.RNG_LEGACY_STATEFUL:
                        own._rng_type, own._built = own.RNG_STATEFUL, False
                    own._maybe_init()
                    own = own._generator
                if isinstance(own, tf.random.Generator):
                    found[id(own)] = own
                elif hasattr(own, "_current_seed"):
                    self._seeds.append(own)
        self.generators = list(found.values())

    def keep(self) -> list[Any]:
        """The states now."""
        # The handle is that of the replica in which this runs.
        handles = [generator.state.handle for generator in self.generators]
        states = [tf.raw_ops.ReadVariableOp(resource=h, dtype=tf.int64) for h in handles]
        return states + [list(seed._current_seed) for seed in self._seeds]

    def put_back(self, states: list[Any]) -> None:
        """Sets the states that ``keep`` gave: the next draws are those after it."""
        count = len(self.generators)
        for generator, state in zip(self.generators, states[:count], strict=True):
            tf.raw_ops.AssignVariableOp(resource=generator.state.handle, value=state)
        for seed, state in zip(self._seeds, states[count:], strict=True):
            seed._current_seed = list(state)
