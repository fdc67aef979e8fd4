"""The click-sequence contrast of COURIER."""

from __future__ import annotations

import tensorflow as tf
import tf_keras as keras

from tfrec_vis.losses.contrast import Bank, Contrast


@keras.saving.register_keras_serializable(package="tfrec_vis")
class ClickSequenceContrast(Contrast):
    """Contrasts each user's newest click, rebuilt from the older ones, with the other users'.

        L_UCS = -1/|B| sum_{u in B} log softmax_v(cos(Emb(click0_v), Rec_u) / tau)[v = u]

    B are the users with at least two distinct clicks. A user whose newest click is the same
    item as u's is no candidate for u.

    Args:
        temperature: tau.
        chunk_size: anchors whose similarities are held at once; None: all.
        mask_same_item, mask_padding, empty: see ``help(tv.losses.contrast.Contrast)``.

    Example:
        >>> import tensorflow as tf, tfrec_vis as tv
        >>> loss = tv.losses.ClickSequenceContrast()
        >>> float(loss(tf.eye(2), tf.eye(2), tf.zeros([2]), tf.range(2)))
        0.0

    Source: COURIER (arXiv 2306.05001), user click sequence loss; the temperature is that of
    the page-view loss, as the equations say (the released code multiplies where it should
    divide: that is ``temperature=20``).
    """

    def __call__(
        self,
        newest_embedding: tf.Tensor,
        reconstruction: tf.Tensor,
        valid: tf.Tensor,
        item_index: tf.Tensor,
        *,
        temperature: tf.Tensor | None = None,
        log_q: tf.Tensor | None = None,
        bank: Bank | None = None,
        across_replicas: bool = True,
    ) -> tf.Tensor:
        """Computes the loss; gradients flow to both embeddings and reconstructions.

        Args:
            newest_embedding: [b, d], the newest click of each user of the batch.
            reconstruction: [b, d], the same click rebuilt from that user's older clicks.
            valid: [b], true where the user has at least two distinct clicks.
            item_index: int [b], the newest click's item.
            temperature: scalar, in place of tau.
            log_q: [b], log of the probability of row i's item to be a candidate.
            bank: (embedding [m, d], item_index [m], valid [m]), further negatives; with
                ``log_q`` also its log_q [m].
            across_replicas: contrast with the candidates of all replicas of a
                ``tf.distribute`` strategy, and return this replica's share of the loss.

        Returns:
            Scalar, float32 (float64 for float64 input); 0 where no row is valid.

        Raises:
            ValueError: ``bank`` has too few or too many tensors.
        """
        valid = self._valid(valid)
        return self._info_nce(
            newest_embedding,
            reconstruction,
            valid,
            valid,
            item_index,
            temperature=temperature,
            log_q=log_q,
            bank=bank,
            across_replicas=across_replicas,
        )
