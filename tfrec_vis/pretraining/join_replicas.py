"""The batches of all replicas as one."""

from __future__ import annotations

import tensorflow as tf

from tfrec_vis.layers import gather_replicas

Batch = dict[str, tf.Tensor]
_POSITIONS = ("history", "shown")
_PIXELS = ("image", "blank", "flip")


def join_replicas(embeddings: tf.Tensor, batch: Batch) -> tuple[tf.Tensor, Batch, tf.Tensor]:
    """Puts together what the replicas of a strategy hold, without gradients.

    A loss computed from it is, on every replica, that of the joint batch; its gradient at a
    replica's own rows is all that the replica's encoder needs.

    Args:
        embeddings: [u, ...], of this replica's distinct pictures.
        batch: this replica's, of ``data.pages``; positions point at its pictures.

    Returns:
        The embeddings of all replicas; the batch of all replicas, with positions into these,
        without pictures and strings; where this replica's embeddings begin.
    """
    own = {
        name: tensor
        for name, tensor in batch.items()
        if name not in _PIXELS and tensor.dtype != tf.string
    }
    joint, offset = gather_replicas(tf.stop_gradient(embeddings))
    for name in _POSITIONS:
        own[name] = tf.where(own[name] < 0, own[name], own[name] + offset)
    return joint, {name: gather_replicas(tensor)[0] for name, tensor in own.items()}, offset
