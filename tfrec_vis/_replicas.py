"""Sums and rows over the replicas of a ``tf.distribute`` strategy, with gradients."""

from __future__ import annotations

import tensorflow as tf


def gather_replicas(x: tf.Tensor, *more: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Concatenates the rows of all replicas, in the order of the replicas, with gradients.

        gathered = sum_r pad(x_r, offset_r),   offset_r = sum_{q < r} rows_q

    The gradient with respect to x_r is the sum over replicas of their gradients with respect to
    ``gathered``, at r's rows: what a loss on any replica says about these rows reaches them.
    (``ReplicaContext.all_gather`` cannot be used under a strategy whose replicas have unequal
    rows without first agreeing on sizes in its backward pass; one sum does both directions.)

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
    replica, count = context.replica_id_in_sync_group, context.num_replicas_in_sync
    rows = tf.shape(tensors[0], out_type=tf.int64)[0]
    lengths = sum_over_replicas(tf.one_hot(replica, count, dtype=tf.int64) * rows)
    offset = tf.reduce_sum(lengths[:replica])
    after = tf.reduce_sum(lengths) - offset - rows
    gathered = []
    for tensor in tensors:
        around = tf.pad([[offset, after]], [[0, tensor.shape.rank - 1], [0, 0]])
        # Halves and integers go as types that every collective adds exactly.
        wide = tensor.dtype if tensor.dtype in (tf.float32, tf.float64) else tf.float32
        wide = wide if tensor.dtype.is_floating else tf.int64
        spread = tf.pad(tf.cast(tensor, wide), around)
        whole = tf.cast(sum_over_replicas(spread), tensor.dtype)
        gathered.append(tf.ensure_shape(whole, [None, *tensor.shape[1:]]))
    return (*gathered, tf.cast(offset, tf.int32))


def sum_over_replicas(x: tf.Tensor) -> tf.Tensor:
    """The sum of a tensor over the replicas; itself outside a strategy."""
    context = _context()
    return x if context is None else context.all_reduce(tf.distribute.ReduceOp.SUM, x)


def _context() -> tf.distribute.ReplicaContext | None:
    """The context of several replicas in which this runs, if any."""
    context = tf.distribute.get_replica_context()
    return context if context is not None and context.num_replicas_in_sync > 1 else None
