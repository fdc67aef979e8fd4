"""Trains in a process of its own, on one device or several, and writes what came out.

``python replica_steps.py PREPARED OUT CASE STRATEGY...`` with a strategy of ``one``, ``mirrored2``,
``mirrored4`` or ``workers`` (processes named by TF_CONFIG) writes OUT/CASE-STRATEGY.npz: the
changes of all weights and the measures of two steps, the last of them on a few pages.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"

import tfrec_vis  # noqa: F401  (selects tf_keras)

# isort: split
import numpy as np
import tensorflow as tf
import tf_keras as keras
from tensorflow.python.autograph.core import config, config_lib
from tiny_encoder import tiny_encoder

from tfrec_vis.data import pages, read_pages
from tfrec_vis.pretraining import CLIP, Courier, SimSiam, Supervised

config.CONVERSION_RULES = (config_lib.DoNotConvert("tf_keras"), *config.CONVERSION_RULES)
BATCH = 24
COMMON = {"embedding_dim": 6, "num_heads": 2, "temperature": 0.2}


def with_dropout() -> keras.Model:
    """The tiny encoder under dropout."""
    pictures = keras.Input([None, None, 3])
    return keras.Model(pictures, keras.layers.Dropout(0.5)(tiny_encoder()(pictures)))


CASES = {
    "courier": lambda: Courier(tiny_encoder(), click_head_weight=1.0, **COMMON),
    "cached": lambda: Courier(
        tiny_encoder(), micro_batch=5, chunk_size=16, learned_temperature=True, **COMMON
    ),
    "supervised": lambda: Supervised(tiny_encoder(), embedding_dim=6, hidden=8),
    "clip": lambda: CLIP(tiny_encoder(), embedding_dim=6, vocabulary=["red", "blue"], hidden=8),
    "simsiam": lambda: same_views(SimSiam(tiny_encoder(), embedding_dim=6, hidden=8)),
    "dropout": lambda: Courier(with_dropout(), **COMMON),
    "dropout_cached": lambda: Courier(with_dropout(), micro_batch=1000, **COMMON),
    "bank": lambda: Courier(tiny_encoder(), memory_bank=500, **COMMON),
}


def same_views(model: SimSiam) -> SimSiam:
    """Without random views, which differ from replica to replica."""
    model._view = lambda pictures, seed: pictures
    return model


STRATEGIES = {
    "one": tf.distribute.get_strategy,
    "mirrored2": lambda: tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"]),
    "mirrored4": lambda: tf.distribute.MirroredStrategy([f"/cpu:{i}" for i in range(4)]),
    "workers": tf.distribute.MultiWorkerMirroredStrategy,
}


def run(prepared: Path, case: str, strategy: tf.distribute.Strategy) -> dict[str, np.ndarray]:
    """Two steps of model.fit, then evaluate."""
    keras.utils.set_random_seed(5)
    with strategy.scope():
        model = CASES[case]()
        model.compile(optimizer=keras.optimizers.SGD(0.02))
    records = len(read_pages(prepared))
    size = next(size for size in range(BATCH, 2 * BATCH) if 0 < records % size < 4)

    def read(context: tf.distribute.InputContext | None = None) -> tf.data.Dataset:
        return pages(
            prepared,
            batch_size=size,
            first_batch=records // size - 1,
            epochs=1,
            titles=model.needs_titles,
            decode_ahead=10 if case == "cached" else None,
            input_context=context,
        )

    def dataset() -> tf.data.Dataset:
        if strategy.num_replicas_in_sync == 1:
            return read()
        return strategy.distribute_datasets_from_function(read)

    before = [v.numpy() for v in model.trainable_variables]
    trained = model.fit(dataset(), epochs=1, steps_per_epoch=2, verbose=0).history
    after = [v.numpy() for v in model.trainable_variables]
    tested = model.evaluate(dataset(), steps=2, return_dict=True, verbose=0)
    return {
        **{f"change {i}": b - a for i, (a, b) in enumerate(zip(before, after, strict=True))},
        **{f"trained {name}": np.array(value[0]) for name, value in trained.items()},
        **{f"tested {name}": np.array(value) for name, value in tested.items()},
    }


def main(prepared: str, out: str, case: str, *strategies: str) -> None:
    """One file for each strategy; of workers, one for each."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_visible_devices([], "GPU")
    if "workers" not in strategies:
        parts = [tf.config.LogicalDeviceConfiguration()] * 4
        tf.config.set_logical_device_configuration(cpu, parts)
    for name in strategies:
        strategy = STRATEGIES[name]()
        found = run(Path(prepared), case, strategy)
        worker = json.loads(os.environ.get("TF_CONFIG", "{}")).get("task", {}).get("index", "")
        np.savez(Path(out) / f"{case}-{name}{worker}.npz", **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
