"""Cosines of a target with the user's clicks, as a histogram."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf
import tf_keras as keras

from tfrec_vis.ranking.sim_score import cosines


@keras.saving.register_keras_serializable(package="tfrec_vis")
class SimTier(keras.layers.Layer):
    """How many clicks are how similar to the target: a histogram of their cosines over [-1, 1].

        share_b = (valid clicks with a cosine in bin b) / (valid clicks)
        out_b   = w_b log(1 + B share_b)         (default)
        out_b   = w_b log(1 + clicks in bin b)   (share=False, as published)

    with B bins of width 2 / B, lower edges included (a cosine of 1 belongs to the last), and
    trained weights w, each 1 / log(1 + B) at first, so that the default starts within [0, 1].
    B = 20 is MUSE's bin width of 0.1.

    Why shares: published counts sum up to the length of the history, which is no visual feature.
    A ranker would learn it from them (how active a user is; and where un-clicked items are sampled
    it helps to guess the label, since a target is left out of its own history), and shuffled
    pictures would seem to be of use. The scale B compares a bin with an even spread, whatever the
    number of slots. What shares cannot hide is how coarse they are (of three clicks they are
    thirds), nor that there is no click at all: zeros.

    Only clicks with a picture count, and a target without one gives zeros: in a call, those whose
    vectors are not all zeros. There is no gradient to the vectors, a histogram has none.

    Args:
        bins: B.
        share: shares of the valid clicks; False: counts.

    Example:
        >>> import tensorflow as tf, tfrec_vis as tv
        >>> scores = tf.constant([[-0.9, 0.2, 0.3, 7.0]])
        >>> tier = tv.ranking.SimTier(bins=2)
        >>> out = tier.from_scores(scores, scores < 1)  # log(1 + 2 / 3), log(1 + 4 / 3) by log 3
        >>> [f"{number:.2f}" for number in out[0].numpy()]
        ['0.46', '0.77']

    Source: SimTier (arXiv 2407.19467); bins, log and weight: MUSE (arXiv 2512.07216).
    """

    def __init__(self, bins: int = 20, share: bool = True, **kwargs: Any) -> None:
        # Given cosines are not rounded to half precision: it would move them to another bin.
        super().__init__(autocast=False, **kwargs)
        if bins < 1:
            raise ValueError(f"expected bins of at least 1, got {bins}")
        self.bins, self.share = bins, share
        with tf.name_scope(self.name):
            self.bin_weight = self.add_weight(
                name="bin_weight",
                shape=[bins],
                initializer=keras.initializers.Constant(1.0 / math.log1p(bins)),
            )

    def call(self, target: tf.Tensor, history: tf.Tensor, history_mask: tf.Tensor) -> tf.Tensor:
        """Histograms of a batch.

        Args:
            target: [n, d], L2-normalised; zeros: no picture.
            history: [n, clicks, d], L2-normalised; zeros: no picture.
            history_mask: bool [n, clicks].

        Returns:
            [n, bins]
        """
        pictured = tf.reduce_any(history != 0, axis=-1) & tf.reduce_any(target != 0, -1)[:, None]
        mask = tf.cast(history_mask, tf.bool) & pictured
        return self.from_scores(cosines(target, history), mask)

    def from_scores(self, scores: Any, mask: Any) -> tf.Tensor:
        """The same from cosines that are there already.

        Args:
            scores: float [n, clicks].
            mask: bool [n, clicks]: true where there is a click and both it and the target have a
                picture.

        Returns:
            [n, bins]
        """
        scores = tf.where(mask, scores, tf.zeros_like(scores))
        place = tf.cast(tf.floor((scores + 1) * (self.bins / 2)), tf.int32)
        place = tf.where(mask, tf.clip_by_value(place, 0, self.bins - 1), -1)
        dtype = tf.float64 if self.compute_dtype == "float64" else tf.float32
        count = tf.reduce_sum(tf.one_hot(place, self.bins, dtype=dtype), axis=1)
        if self.share:
            clicks = tf.reduce_sum(count, axis=1, keepdims=True)
            count = self.bins * tf.math.divide_no_nan(count, clicks)
        return tf.cast(tf.math.log1p(count), self.compute_dtype) * self.bin_weight

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "bins": self.bins, "share": self.share}
