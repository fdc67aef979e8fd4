"""The page-view contrast of COURIER."""

from __future__ import annotations

import tensorflow as tf
import tf_keras as keras

from tfrec_vis.losses.contrast import Contrast


@keras.saving.register_keras_serializable(package="tfrec_vis")
class PageViewContrast(Contrast):
    """Contrasts the reconstruction of each clicked item with all items shown in the batch.

        L_PV = -1/|P| sum_{j in P} log softmax_i(cos(Emb_i, Rec_j) / tau)[i = j]

    P are the clicked, valid rows; un-clicked rows are never anchors, always candidates (the
    hard negatives of the same page). Another row with the positive's ``item_index`` is no
    candidate.

    Args:
        temperature: tau.

    Example:
        >>> import tensorflow as tf, tfrec_vis as tv
        >>> loss = tv.losses.PageViewContrast(temperature=0.05)
        >>> e = tf.eye(3)
        >>> round(float(loss(e, e, tf.constant([1, 0, 1]), tf.ones([3]), tf.range(3))), 6)
        0.0

    Source: COURIER (arXiv 2306.05001), contrastive loss over page views.
    """

    def __call__(
        self,
        shown_embedding: tf.Tensor,
        reconstruction: tf.Tensor,
        clicked: tf.Tensor,
        valid: tf.Tensor,
        item_index: tf.Tensor,
    ) -> tf.Tensor:
        """Computes the loss; gradients flow to both embeddings and reconstructions.

        Args:
            shown_embedding: [n, d], the shown items of all pages of the (global) batch.
            reconstruction: [n, d], row i rebuilds row i of ``shown_embedding``.
            clicked: [n], 1 where clicked; pass 0 for pages without history.
            valid: [n], true where there is an item (not padding).
            item_index: int [n].

        Returns:
            Scalar, float32 (float64 for float64 input); 0 where nothing was clicked.
        """
        valid = tf.cast(valid, tf.bool)
        is_anchor = valid & (tf.cast(clicked, tf.int32) == 1)
        return self._info_nce(shown_embedding, reconstruction, is_anchor, valid, item_index)
