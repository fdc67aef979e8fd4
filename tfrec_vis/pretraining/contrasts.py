"""The two contrasts of COURIER as its settings want them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tfrec_vis.losses import ClickSequenceContrast, PageViewContrast
from tfrec_vis.pretraining.names import CANDIDATES, RELEASED


class Contrasts:
    """Both contrasts.

    Args:
        temperature: tau.
        candidates: as for ``Courier``.
        released: as for ``Courier``.
        chunk_size: as for ``Courier``.

    Raises:
        ValueError: an unknown name.
    """

    def __init__(
        self,
        temperature: float,
        candidates: str,
        released: Sequence[str],
        chunk_size: int | None = None,
    ) -> None:
        if candidates not in CANDIDATES:
            raise ValueError(f"expected candidates {', '.join(CANDIDATES)}, got {candidates!r}")
        if unknown := set(released) - set(RELEASED):
            raise ValueError(f"expected released of {', '.join(RELEASED)}, got {sorted(unknown)}")
        common: dict[str, Any] = {
            "chunk_size": chunk_size,
            "mask_same_item": "same_item" not in released,
            "mask_padding": "candidate_padding" not in released,
            "empty": "nan" if "empty_batch" in released else "zero",
        }
        self.temperature, self.candidates = temperature, candidates
        self._page_view = PageViewContrast(
            temperature, candidates="unclicked" if candidates == "unclicked" else "all", **common
        )
        # The released code divides by 1 / tau where it should multiply.
        scaled = 1 / temperature if "click_sequence_temperature" in released else temperature
        self._click_sequence = ClickSequenceContrast(scaled, **common)

    def page_view(
        self,
        embedding: tf.Tensor,
        reconstruction: tf.Tensor,
        item_index: tf.Tensor,
        clicked: tf.Tensor,
        is_anchor: tf.Tensor,
        valid: tf.Tensor,
        temperature: tf.Tensor | None,
        log_q: tf.Tensor | None,
        bank: tuple[tf.Tensor, ...] | None,
    ) -> tf.Tensor:
        """The page-view contrast; arguments as of ``losses.PageViewContrast``.

        Args:
            clicked: bool [n], all clicks.
            is_anchor: bool [n], those of pages with history.
        """
        if self.candidates == "none":
            return self._alignment(embedding, reconstruction, valid & is_anchor)
        if self.candidates == "clicked":
            valid &= clicked
        elif self.candidates == "unclicked":
            valid &= is_anchor | ~clicked
        return self._page_view(
            embedding,
            reconstruction,
            is_anchor,
            valid,
            item_index,
            temperature=temperature,
            log_q=log_q,
            bank=bank,
        )

    def click_sequence(
        self,
        newest: tf.Tensor,
        rebuilt: tf.Tensor,
        valid: tf.Tensor,
        item_index: tf.Tensor,
        temperature: tf.Tensor | None,
        log_q: tf.Tensor | None,
    ) -> tf.Tensor:
        """The click-sequence contrast; arguments as of ``losses.ClickSequenceContrast``."""
        if self.candidates == "none":
            return self._alignment(newest, rebuilt, valid)
        return self._click_sequence(
            newest, rebuilt, valid, item_index, temperature=temperature, log_q=log_q
        )

    def _alignment(self, a: tf.Tensor, b: tf.Tensor, chosen: tf.Tensor) -> tf.Tensor:
        """Mean over the chosen rows of (1 - cos(a, b)) / tau."""
        cosine = tf.reduce_sum(tf.nn.l2_normalize(a, -1) * tf.nn.l2_normalize(b, -1), axis=-1)
        chosen = tf.cast(chosen, cosine.dtype)
        total = tf.reduce_sum(chosen * (1 - cosine)) / self.temperature
        return tf.math.divide_no_nan(total, tf.reduce_sum(chosen))
