"""The page-view contrast of COURIER."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from tfrec_vis.losses.contrast import Bank, Contrast


@keras.saving.register_keras_serializable(package="tfrec_vis")
class PageViewContrast(Contrast):
    """Contrasts the reconstruction of each clicked item with all items shown in the batch.

        L_PV = -1/|P| sum_{j in P} log softmax_i(cos(Emb_i, Rec_j) / tau)[i = j]

    P are the clicked, valid rows; un-clicked rows are never anchors, always candidates (the
    hard negatives of the same page). Another row with the positive's ``item_index`` is no
    candidate.

    Args:
        temperature: tau.
        chunk_size: anchors whose similarities are held at once; None: all.
        candidates: "all" valid rows, or "unclicked": beside its own positive an anchor meets
            only rows that pass ``clicked`` other than 1 (and the bank).
        mask_same_item, mask_padding, empty: see ``help(tv.losses.contrast.Contrast)``.

    Example:
        >>> import tensorflow as tf, tfrec_vis as tv
        >>> loss = tv.losses.PageViewContrast(temperature=0.05)
        >>> e = tf.eye(3)
        >>> round(float(loss(e, e, tf.constant([1, 0, 1]), tf.ones([3]), tf.range(3))), 6)
        0.0

    Source: COURIER (arXiv 2306.05001), contrastive loss over page views.
    """

    def __init__(
        self,
        temperature: float = 0.05,
        *,
        chunk_size: int | None = None,
        candidates: str = "all",
        mask_same_item: bool = True,
        mask_padding: bool = True,
        empty: str = "zero",
    ) -> None:
        super().__init__(
            temperature,
            chunk_size=chunk_size,
            mask_same_item=mask_same_item,
            mask_padding=mask_padding,
            empty=empty,
        )
        if candidates not in ("all", "unclicked"):
            raise ValueError(f'expected candidates to be "all" or "unclicked", got {candidates!r}')
        self.candidates = candidates

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "candidates": self.candidates}

    def __call__(
        self,
        shown_embedding: tf.Tensor,
        reconstruction: tf.Tensor,
        clicked: tf.Tensor,
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
            shown_embedding: [n, d], the shown items of all pages of the batch.
            reconstruction: [n, d], row i rebuilds row i of ``shown_embedding``.
            clicked: [n], 1 where clicked; pass 0 for pages without history.
            valid: [n], true where there is an item (not padding).
            item_index: int [n].
            temperature: scalar, in place of tau.
            log_q: [n], log of the probability of row i's item to be a candidate.
            bank: (embedding [m, d], item_index [m], valid [m]), further negatives; with
                ``log_q`` also its log_q [m].
            across_replicas: contrast with the candidates of all replicas of a
                ``tf.distribute`` strategy, and return this replica's share of the loss.

        Returns:
            Scalar, float32 (float64 for float64 input); 0 where nothing was clicked.

        Raises:
            ValueError: ``bank`` has too few or too many tensors.
        """
        valid = self._valid(valid)
        is_clicked = tf.cast(clicked, tf.int32) == 1
        return self._info_nce(
            shown_embedding,
            reconstruction,
            valid & is_clicked,
            valid if self.candidates == "all" else valid & ~is_clicked,
            item_index,
            temperature=temperature,
            log_q=log_q,
            bank=bank,
            across_replicas=across_replicas,
        )
