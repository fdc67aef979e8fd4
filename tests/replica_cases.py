"""Losses, bank and head on one device and on 2 and 4 replicas; run as a script of its own.

    python replica_cases.py REPLICAS OUT.npz

Logical devices have to be set before TensorFlow starts, and one process can have collectives of
one size only. The file holds by "case/name" values and gradients of weights summed over replicas,
gradients of rows joined.
"""

from __future__ import annotations

import sys
from functools import partial

import numpy as np
import tensorflow as tf

import tfrec_vis as tv

WIDTH, ROWS = 6, 13
# Where each replica's rows end; with 4 replicas one has none.
ENDS = {1: [13], 2: [9, 13], 4: [5, 5, 11, 13]}


def rows_of_batch():
    rng = np.random.default_rng(0)
    return {
        "embedding": rng.normal(size=(ROWS, WIDTH)).astype(np.float32),
        "rebuilt": rng.normal(size=(ROWS, WIDTH)).astype(np.float32),
        "clicked": rng.integers(0, 2, ROWS).astype(np.int32),
        "valid": rng.random(ROWS) < 0.8,
        "items": rng.integers(0, 7, ROWS).astype(np.int32),
        "log_q": np.log(rng.uniform(0.01, 0.5, ROWS)).astype(np.float32),
    }


class Parts:
    """What has weights, made inside the strategy's scope, with the same numbers every time."""

    def __init__(self):
        self.temperature = tv.layers.LearnedTemperature(0.2)
        self.bank = tv.layers.MemoryBank(4, WIDTH)
        self.head = tv.layers.ClickHead(5, "batch")
        self.head.build(tf.TensorShape([None, WIDTH]))
        rng = np.random.default_rng(1)
        self.head.set_weights([rng.uniform(0.5, 1, w.shape) for w in self.head.get_weights()])


def step(parts, rows):
    """{case: {name: (how to join, tensor)}} of one replica's rows."""
    two = [rows["embedding"], rows["rebuilt"]]
    page = [rows["clicked"], rows["valid"], rows["items"]]
    users = [rows["valid"], rows["items"]]
    losses = tv.losses
    # The bank holds the rows of two batches before: all items are of none of these rows.
    for shift in (1.0, 2.0):
        parts.bank.push(rows["embedding"] + shift, rows["items"] + 100, rows["valid"])
    embedding, bank_items, bank_valid = parts.bank.read()
    bank_log_q = tf.fill([4], -2.0)

    def everything():
        return losses.PageViewContrast(chunk_size=3, candidates="unclicked")(
            *two,
            *page,
            temperature=parts.temperature(),
            log_q=rows["log_q"],
            bank=(embedding, bank_items, bank_valid, bank_log_q),
        )

    def click_head():
        logits = parts.head(rows["rebuilt"], rows["embedding"], rows["valid"], training=True)
        return losses.ClickCrossEntropy()(logits, rows["clicked"], rows["valid"])

    within = partial(losses.PageViewContrast(0.2), across_replicas=False)
    cases = {
        "page_view": lambda: losses.PageViewContrast(0.2)(*two, *page),
        "click_sequence": lambda: losses.ClickSequenceContrast(0.2)(*two, *users),
        "everything": everything,
        "click_head": click_head,
        "within": lambda: within(*two, *page),
    }
    weights = [*parts.temperature.trainable_weights, *parts.head.trainable_weights]
    sources = two
    results = {}
    for name, loss in cases.items():
        with tf.GradientTape() as tape:
            tape.watch(sources)
            value = loss()
        gradients = tape.gradient(value, sources + weights, unconnected_gradients="zero")
        results[name] = {"loss": ("sum", value)}
        for i, gradient in enumerate(gradients):
            how = "join" if i < len(sources) else "sum"
            results[name][f"gradient_{i}"] = (how, gradient)
    stored = {"embedding": embedding, "items": bank_items, "valid": tf.cast(bank_valid, tf.int32)}
    results["bank"] = {name: ("same", value) for name, value in stored.items()}
    gathered, halves, flags, offset = tv.layers.gather_replicas(
        rows["items"], tf.cast(rows["embedding"], tf.bfloat16), rows["valid"]
    )
    results["gather"] = {
        "items": ("same", gathered),
        "bfloat16": ("same", tf.cast(halves, tf.float32)),
        "flags": ("same", tf.cast(flags, tf.int32)),
        "offset": ("join", offset[tf.newaxis]),
    }
    moving = parts.head.norm.moving_mean, parts.head.norm.moving_variance
    results["moving"] = {str(i): ("same", tf.identity(x)) for i, x in enumerate(moving)}
    return results


def run(replicas, rows):
    """Joined results of one strategy."""
    devices = [f"CPU:{i}" for i in range(replicas)]
    strategy = (
        tf.distribute.get_strategy() if replicas == 1 else tf.distribute.MirroredStrategy(devices)
    )
    with strategy.scope():
        parts = Parts()
    ends = ENDS[replicas]

    def part(context):
        replica = context.replica_id_in_sync_group
        start = 0 if replica == 0 else ends[replica - 1]
        return {name: tf.constant(x[start : ends[replica]]) for name, x in rows.items()}

    hows = {}

    def of_replica(mine):
        results = step(parts, mine)
        for case, values in results.items():
            for name, (how, _) in values.items():
                hows[f"{case}/{name}"] = how
        return {
            f"{c}/{n}": value for c, values in results.items() for n, (_, value) in values.items()
        }

    given = strategy.experimental_distribute_values_from_function(part)
    if replicas == 1:
        given = {name: tf.constant(x) for name, x in rows.items()}
    results = tf.function(lambda x: strategy.run(of_replica, args=(x,)), autograph=False)(given)
    joined = {}
    for name, value in results.items():
        each = [x.numpy() for x in strategy.experimental_local_results(value)]
        if hows[name] == "sum":
            joined[name] = sum(each)
        elif hows[name] == "join":
            joined[name] = np.concatenate(each)
        else:
            assert all(np.array_equal(x, each[0]) for x in each), name
            joined[name] = each[0]
    return joined


def main(replicas, out):
    cpu = tf.config.list_physical_devices("CPU")[0]
    devices = [tf.config.LogicalDeviceConfiguration()] * replicas
    tf.config.set_logical_device_configuration(cpu, devices)
    np.savez(out, **run(replicas, rows_of_batch()))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
