"""What the contrastive losses share: one formula, one set of masks."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfrec_vis._replicas import gather_replicas, sum_over_replicas
from tfrec_vis.losses.chunks import sum_over_chunks

Bank = tuple[tf.Tensor, ...]


class Contrast:
    """Base of the contrastive losses (InfoNCE over the batch, one direction).

        loss = -1/|A| sum_{a in A} log softmax_{c in C(a)}(s(a, c))[c = a]
        s(a, c) = cos(anchor_a, candidate_c) / tau - log q_c

    The candidates C(a) are row a itself, and all valid rows but those that hold the same item as
    row a (they are not a's negatives: the same product clicked by two users). log q is 0 unless
    given. What a call takes beside the rows of the batch is keyword-only:

    - ``temperature``: a scalar tensor in place of tau, e.g. of ``layers.LearnedTemperature``;
      it gets a gradient.
    - ``log_q`` [n]: the log of the probability with which row c's item comes into a batch.
      It is taken off the logits of negatives and positive alike (Yi et al., "Sampling-bias-
      corrected neural modeling", RecSys 2019, equation 3; as TensorFlow Recommenders does).
      Terms equal for all rows cancel. It gets no gradient.
    - ``bank``: (embedding [m, d], item_index [m], valid [m]) of ``layers.MemoryBank.read``,
      further negatives for every anchor; with ``log_q`` also a fourth, the bank's log_q [m].
      They get no gradient, and hold the same on every replica.
    - ``across_replicas``: where the call runs in a replica of a ``tf.distribute`` strategy with
      several replicas, True (the default) gathers the candidates of all of them, with gradients.
      The anchors stay where they are, and the value is this replica's share: the sum over its
      anchors, divided by the number of all replicas' anchors. The shares, and the gradients that
      Keras optimizers add up over replicas, sum to the loss and gradient of one device with the
      joint batch: do not divide by the number of replicas. False contrasts within the replica,
      and divides by the replica's own anchors. Elsewhere it changes nothing. Like all
      collectives the call then has to stand outside ``tf.cond`` and ``tf.while_loop``.

    Args:
        temperature: tau, above 0.
        chunk_size: anchors whose similarities are held at once: [chunk_size, n] in place of
            [n, n], computed a second time in the backward pass. The same gradient; of first
            order only. None: all.
        mask_same_item: whether other rows with the anchor's item are left out of C(a).
        mask_padding: whether rows that are not valid are left out; False: ``valid`` is ignored.
        empty: value where there is no anchor, "zero" or "nan".

    The defaults are the corrected method. ``mask_same_item=False, mask_padding=False,
    empty="nan"`` is what the released code computes.
    """

    def __init__(
        self,
        temperature: float = 0.05,
        *,
        chunk_size: int | None = None,
        mask_same_item: bool = True,
        mask_padding: bool = True,
        empty: str = "zero",
    ) -> None:
        if temperature <= 0:
            raise ValueError(f"expected a temperature above 0, got {temperature}")
        if chunk_size is not None and chunk_size < 1:
            raise ValueError(f"expected a chunk_size of at least 1 or None, got {chunk_size}")
        if empty not in ("zero", "nan"):
            raise ValueError(f'expected empty to be "zero" or "nan", got {empty!r}')
        self.temperature = temperature
        self.chunk_size = chunk_size
        self.mask_same_item = mask_same_item
        self.mask_padding = mask_padding
        self.empty = empty

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {
            "temperature": self.temperature,
            "chunk_size": self.chunk_size,
            "mask_same_item": self.mask_same_item,
            "mask_padding": self.mask_padding,
            "empty": self.empty,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Contrast:
        """The loss that ``get_config`` describes."""
        return cls(**config)

    def _valid(self, valid: tf.Tensor) -> tf.Tensor:
        """Bool [n], the rows that take part."""
        valid = tf.cast(valid, tf.bool)
        return valid if self.mask_padding else tf.ones_like(valid)

    def _info_nce(
        self,
        candidates: tf.Tensor,
        anchors: tf.Tensor,
        is_anchor: tf.Tensor,
        is_candidate: tf.Tensor,
        item_index: tf.Tensor,
        *,
        temperature: tf.Tensor | None,
        log_q: tf.Tensor | None,
        bank: Bank | None,
        across_replicas: bool,
    ) -> tf.Tensor:
        """Loss of ``anchors`` [n, d] against ``candidates`` [n, d]; row i is i's positive."""
        if bank is not None and len(bank) != (3 if log_q is None else 4):
            raise ValueError(
                "expected bank as (embedding, item_index, valid), with log_q also the bank's "
                f"log_q, got {len(bank)} tensors {'without' if log_q is None else 'with'} log_q"
            )
        candidates = at_least_float32(candidates)
        dtype = candidates.dtype
        # What takes no part cannot have an influence, not even as NaN.
        candidates = _directions(candidates, is_candidate | is_anchor)
        anchors = _directions(tf.cast(at_least_float32(anchors), dtype), is_anchor)
        item_index = tf.cast(item_index, tf.int64)
        log_q_of = tf.zeros_like(item_index, dtype) if log_q is None else tf.cast(log_q, dtype)
        count = tf.reduce_sum(tf.cast(is_anchor, dtype))
        anchor_item, offset = item_index, tf.constant(0)
        if across_replicas:
            candidates, item_index, is_candidate, log_q_of, offset = gather_replicas(
                candidates, item_index, is_candidate, log_q_of
            )
            count = sum_over_replicas(count)
        if bank is not None:
            embedding, bank_item, bank_valid, *bank_log_q = bank
            bank_valid = tf.cast(bank_valid, tf.bool)
            bank_item = tf.cast(bank_item, tf.int64)
            embedding = _directions(tf.stop_gradient(tf.cast(embedding, dtype)), bank_valid)
            candidates = tf.concat([candidates, embedding], axis=0)
            item_index = tf.concat([item_index, bank_item], axis=0)
            is_candidate = tf.concat([is_candidate, bank_valid], axis=0)
            more = tf.cast(bank_log_q[0], dtype) if bank_log_q else tf.zeros_like(bank_item, dtype)
            log_q_of = tf.concat([log_q_of, more], axis=0)
        log_q_of = tf.stop_gradient(log_q_of)
        if temperature is None:
            temperature = tf.constant(self.temperature, dtype)
        tau = tf.cast(temperature, dtype)

        def total_loss(
            anchors: tf.Tensor,
            rows: tuple[tf.Tensor, tf.Tensor, tf.Tensor],
            candidates: tf.Tensor,
            tau: tf.Tensor,
        ) -> tf.Tensor:
            positive, item, counts = rows
            logits = tf.matmul(anchors, candidates, transpose_b=True) / tau - log_q_of
            allowed = is_candidate[tf.newaxis, :]
            if self.mask_same_item:
                allowed &= item[:, tf.newaxis] != item_index[tf.newaxis, :]
            own = positive[:, tf.newaxis] == tf.range(tf.shape(candidates)[0])[tf.newaxis, :]
            logits = tf.where(own | allowed, logits, logits.dtype.min)
            places = tf.stack([tf.range(tf.shape(positive)[0]), positive], axis=1)
            loss = -tf.gather_nd(tf.nn.log_softmax(logits), places)
            return tf.reduce_sum(tf.where(counts, loss, tf.zeros_like(loss)))

        rows = (offset + tf.range(tf.shape(anchors)[0]), anchor_item, is_anchor)
        if self.chunk_size is None:
            total = total_loss(anchors, rows, candidates, tau)
        else:
            total = sum_over_chunks(total_loss, anchors, rows, candidates, tau, self.chunk_size)
        return total / count if self.empty == "nan" else tf.math.divide_no_nan(total, count)


def at_least_float32(x: tf.Tensor) -> tf.Tensor:
    """The tensor in float64 if it is that, else in float32."""
    x = tf.convert_to_tensor(x)
    return x if x.dtype == tf.float64 else tf.cast(x, tf.float32)


def _directions(x: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
    """Rows of length 1, zeros where not wanted."""
    return tf.nn.l2_normalize(tf.where(wanted[:, tf.newaxis], x, tf.zeros_like(x)), axis=-1)
