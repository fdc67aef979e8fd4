"""The batches of all replicas as one."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from tfrec_vis.layers import gather_replicas

Batch = dict[str, tf.Tensor]
_POSITIONS = ("history", "shown")
_OF_PAGES = (*_POSITIONS, "history_item_index", "shown_item_index", "clicked", "timestamp")
_PIXELS = ("image", "blank", "flip")


class Joint(NamedTuple):
    """What the replicas of a strategy hold together.

    Attributes:
        embeddings: [sum of u, ...], of all replicas, without gradient.
        distinct: rows of ``embeddings``, one for each item; None: all.
        batch: of all replicas, without pictures and strings; positions count in ``distinct``.
        offset: where this replica's embeddings begin.
    """

    embeddings: tf.Tensor
    distinct: tf.Tensor | None
    batch: Batch
    offset: tf.Tensor


def join_replicas(embeddings: tf.Tensor, batch: Batch) -> Joint:
    """Puts together what the replicas of a strategy hold.

    A loss computed from it is, on every replica, that of the joint batch; its gradient at a
    replica's own rows is all that the replica's encoder needs. An item that several replicas
    hold counts once, as in one batch: with the embedding of the first.

    Args:
        embeddings: [u, ...], of this replica's distinct pictures.
        batch: this replica's, of ``data.pages``; positions point at its pictures.
    """
    own = {
        name: tensor
        for name, tensor in batch.items()
        if name not in _PIXELS and tensor.dtype != tf.string
    }
    joint, offset = gather_replicas(tf.stop_gradient(embeddings))
    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        return Joint(joint, None, own, offset)
    for name in _POSITIONS:
        own[name] = tf.where(own[name] < 0, own[name], own[name] + offset)
    whole = {name: gather_replicas(tensor)[0] for name, tensor in own.items()}
    item, number = tf.unique(whole["item_index"])
    rows = tf.range(tf.shape(number)[0])
    distinct = tf.math.unsorted_segment_min(rows, number, tf.shape(item)[0])
    none_first = tf.pad(number, [[1, 0]], constant_values=-1)
    for name, tensor in whole.items():
        if name in _POSITIONS:
            whole[name] = tf.gather(none_first, tensor + 1)
        elif name not in _OF_PAGES:
            whole[name] = tf.gather(tensor, distinct)
    return Joint(joint, distinct, whole, offset)
