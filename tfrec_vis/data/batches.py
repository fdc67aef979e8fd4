"""Numbered batches: where a tf.data pipeline begins, ends, and which part a worker gets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import numpy as np
import tensorflow as tf

Plan = Callable[[int], Sequence[np.ndarray]]


def numbered_batches(
    plan: Plan,
    batches: int,
    first_epoch: int = 0,
    first_batch: int = 0,
    epochs: int | None = None,
    input_context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
    """A dataset of planned batches.

    Without ``epochs`` every iteration over the dataset is the next epoch. With ``epochs`` one
    iteration goes through them all, and its position is a number in a graph: the iterator can
    be saved in a ``tf.train.Checkpoint`` and goes on exactly where it was.

    Over workers each batch is divided: with k replicas, replica r gets rows r, r + k, … of every
    batch, so that all of them take the same number of steps and together have the whole batch.

    Args:
        plan: epoch -> the row numbers of each of its batches; a pure function.
        batches: batches of an epoch.
        first_epoch: number of the first epoch.
        first_batch: batches of the first epoch to leave out.
        epochs: how many epochs one iteration goes through; None: one, the next.
        input_context: of ``tf.distribute``; None: one worker with one replica.

    Returns:
        (rows int32 [n], number int32 []): number is the same for no two elements.
    """
    mine, parts = parts_of(input_context)
    planned = lru_cache(maxsize=2)(plan)

    def rows(position: np.ndarray) -> tuple[np.ndarray, np.int32]:
        batch, which = divmod(int(position), len(mine))
        epoch, place = divmod(batch, batches)
        number = batch * parts + mine[which]
        return planned(epoch)[place][mine[which] :: parts].astype(np.int32), np.int32(number)

    def positions(first: int, end: int) -> range:
        return range(first * len(mine), end * len(mine))

    if epochs is None:
        dataset = _epoch_by_epoch(positions, batches, first_epoch, first_batch)
    else:
        span = positions(
            first_epoch * batches + first_batch, (first_epoch + epochs) * batches if batches else 0
        )
        dataset = tf.data.Dataset.range(span.start, span.stop)

    def numbered(position: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        # Not stateful: plan is pure, and a stateful function cannot be checkpointed.
        chosen, number = tf.numpy_function(rows, [position], (tf.int32, tf.int32), stateful=False)
        return tf.ensure_shape(chosen, [None]), tf.ensure_shape(number, [])

    options = tf.data.Options()
    # A checkpoint of the iterator then holds its position alone, not the pictures it has ready.
    options.experimental_symbolic_checkpoint = True
    # Parallelism is given where it is used; the tuner's thread holds up the end of an epoch by
    # half a second.
    options.autotune.enabled = False
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return dataset.map(numbered).with_options(options)


def _epoch_by_epoch(
    positions: Callable[[int, int], range], batches: int, first_epoch: int, first_batch: int
) -> tf.data.Dataset:
    epoch = first_epoch

    def following() -> Iterator[int]:
        nonlocal epoch
        this, skip = epoch, first_batch if epoch == first_epoch else 0
        epoch += 1
        yield from positions(this * batches + skip, (this + 1) * batches)

    dataset = tf.data.Dataset.from_generator(
        following, output_signature=tf.TensorSpec([], tf.int64)
    )
    if not first_batch:
        length = len(positions(0, batches))
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(length))
    return dataset


def parts_of(context: tf.distribute.InputContext | None) -> tuple[range, int]:
    """Which parts of a batch are this worker's, and into how many it is divided."""
    if context is None:
        return range(1), 1
    workers = context.num_input_pipelines
    replicas = max(context.num_replicas_in_sync, workers)
    if replicas % workers:
        raise ValueError(
            f"expected as many replicas on each worker, got {replicas} replicas on {workers} "
            "workers; give every worker the same number of devices"
        )
    each = replicas // workers
    first = context.input_pipeline_id * each
    return range(first, first + each), replicas
