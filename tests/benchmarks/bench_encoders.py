"""Pictures a second of the encoders, forward and in a training step: run by `make bench`."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable

import tensorflow as tf
import tf_keras as keras

from tfrec_vis import encoders

ROUNDS = 3
# Encoder, arguments, side of the pictures, batch.
MEASURED = (
    ("mobilenet_v3_small", {}, 96, 64),
    ("efficientnet_lite0", {}, 96, 64),
    ("resnet_18", {}, 96, 64),
    ("swin_micro", {}, 96, 64),
    ("swin_mini", {}, 96, 64),
    ("swin_tiny", {}, 96, 32),
    ("swin_small", {}, 96, 32),
    ("keras_applications:ResNet50", {}, 96, 32),
    ("keras_cv:EfficientNetV2Backbone", {}, 96, 64),
    ("swin_tiny", {}, 224, 8),
    ("swin_tiny", {"gradient_checkpointing": True}, 224, 8),
)


def rows() -> list[dict]:
    """Return what, target, measured and holds of every figure."""
    return [_rates(*case) for case in MEASURED]


def _rates(name: str, arguments: dict, side: int, batch: int) -> dict:
    keras.backend.clear_session()
    encoder = encoders.get(name, **arguments)
    variables = encoder.trainable_variables
    optimizer = keras.optimizers.AdamW(1e-4)
    optimizer.build(variables)
    pictures = tf.random.stateless_uniform([batch, side, side, 3], [0, 0], 0, 255)
    forward = tf.function(lambda x: encoder(x, training=False), autograph=False)

    @tf.function(autograph=False)
    def train(pictures: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(encoder(pictures, training=True)))
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    setting = "".join(f", {key}" for key in arguments)
    return {
        "what": f"{name}{setting}: {encoder.count_params() / 1e6:.1f} M parameters, {side} px, "
        f"batches of {batch}, {os.cpu_count()} cores (medians of {ROUNDS})",
        "target": "",
        "measured": f"{_rate(forward, pictures):,.0f} pictures/s forward, "
        f"{_rate(train, pictures):,.0f} in training",
        "holds": None,
    }


def _rate(run: Callable[[tf.Tensor], tf.Tensor], pictures: tf.Tensor) -> float:
    """Median pictures a second; each round takes a second or one call."""
    run(pictures).numpy()
    rates = []
    for _ in range(ROUNDS):
        started, calls = time.perf_counter(), 0
        while calls == 0 or time.perf_counter() - started < 1:
            run(pictures).numpy()
            calls += 1
        rates.append(calls * len(pictures) / (time.perf_counter() - started))
    return statistics.median(rates)
