"""Sums and rows over the replicas of a ``tf.distribute`` strategy, with gradients."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

_SENT_AS = {
    tf.bool: tf.int64,
    tf.int32: tf.int64,
    tf.float16: tf.float32,
    tf.bfloat16: tf.float32,
}
_here = threading.local()  # every replica is traced in a thread of its own


@contextmanager
def joint_batch() -> Iterator[None]:
    """Within it tensors are taken to hold the rows of all replicas already.

    What gathers or sums over replicas then passes them on as they are.
    """
    before = getattr(_here, "joint", False)
    _here.joint = True
    try:
        yield
    finally:
        _here.joint = before


def gather_replicas(x: tf.Tensor, *more: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Concatenates the rows of all replicas, in the order of the replicas, with gradients.

        gathered = concat_r x_r,   offset_r = sum_{q < r} rows_q

    The gradient with respect to x_r is the sum over replicas of their gradients with respect to
    ``gathered``, at r's rows: what a loss on any replica says about these rows reaches them.
    Each replica writes its rows into zeros at its place, and these are added up. (The library's
    ``ReplicaContext.all_gather`` has the same gradient at two collectives for one, and takes
    neither bool nor bfloat16.)

    All replicas have to call it, in the same order, outside ``tf.cond`` and ``tf.while_loop``.
    Outside a strategy, or with one replica, the tensors are returned as they are.

    Args:
        x: [n, ...], any number dtype or bool; n may differ between replicas.
        *more: further tensors [n, ...] of the same n.

    Returns:
        The tensors [sum of n, ...] and, last, the int32 scalar offset_r: where this replica's
        rows begin.

    Example:
        >>> import tensorflow as tf, tfrec_vis as tv
        >>> rows, items, offset = tv.layers.gather_replicas(tf.ones([3, 2]), tf.range(3))
        >>> rows.shape.as_list(), int(offset)
        ([3, 2], 0)

    Source: contrast over all devices' items, COURIER (arXiv 2306.05001).
    """
    tensors = [tf.convert_to_tensor(tensor) for tensor in (x, *more)]
    context = _context()
    if context is None:
        return (*tensors, tf.constant(0))
    replica, rows = context.replica_id_in_sync_group, tf.shape(tensors[0], tf.int64)[0]
    counts = sum_over_replicas(
        tf.one_hot(replica, context.num_replicas_in_sync, dtype=tf.int64) * rows
    )
    offset = tf.reduce_sum(counts[:replica])
    after = tf.reduce_sum(counts) - offset - rows
    gathered = []
    for tensor in tensors:
        # Types that every collective adds, and adds exactly.
        sent = tf.cast(tensor, _SENT_AS.get(tensor.dtype, tensor.dtype))
        spread = tf.pad(sent, [[offset, after], *[[0, 0]] * (sent.shape.rank - 1)])
        whole = tf.cast(sum_over_replicas(spread), tensor.dtype)
        gathered.append(tf.ensure_shape(whole, [None, *tensor.shape[1:]]))
    return (*gathered, tf.cast(offset, tf.int32))


def sum_over_replicas(x: tf.Tensor) -> tf.Tensor:
    """The sum of a tensor over the replicas; itself outside a strategy."""
    context = _context()
    return x if context is None else context.all_reduce(tf.distribute.ReduceOp.SUM, x)


def _context() -> tf.distribute.ReplicaContext | None:
    """The context of several replicas in which this runs, if any."""
    context = None if getattr(_here, "joint", False) else tf.distribute.get_replica_context()
    return context if context is not None and context.num_replicas_in_sync > 1 else None
