"""Random generators whose state a checkpoint has to hold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf
import tf_keras as keras


@contextmanager
def restorable_randomness(seed: int) -> Iterator[None]:
    """Layers made within (dropout, for instance) draw from generators that can be restored.

    Keras's own default draws from operations whose state is in no variable. keras-cv's layers draw
    from TensorFlow's global generator, which starts from ``seed``.
    """
    backend = keras.backend.experimental
    before = backend.is_tf_random_generator_enabled()
    backend.enable_tf_random_generator()
    tf.random.set_global_generator(tf.random.Generator.from_seed(seed))
    try:
        yield
    finally:
        if not before:
            backend.disable_tf_random_generator()


def random_generators(model: keras.Model) -> list[tf.random.Generator]:
    """TensorFlow's global generator, and those of the model's layers, in a fixed order.

    Keras keeps the generators of its layers out of checkpoints; here they are to be in them.
    """
    generators = {id(found): found for found in (tf.random.get_global_generator(),)}
    for layer in model._flatten_layers():
        held: Any = getattr(layer, "_random_generator", None)
        if hasattr(held, "_maybe_init"):  # Keras's, around one of TensorFlow's
            held._maybe_init()
            held = held._generator
        if isinstance(held, tf.random.Generator):
            generators[id(held)] = held
    return list(generators.values())
