"""CLIP: what a picture is called."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras

from tfrec_vis.losses import ClickSequenceContrast
from tfrec_vis.pretraining.model import Batch, PretrainingModel

_WORDS = 16
"""Words of a title that are read."""


@keras.saving.register_keras_serializable(package="tfrec_vis")
class CLIP(PretrainingModel):
    """Pre-trains an image encoder by matching pictures with their titles.

        loss = (InfoNCE(Emb -> T) + InfoNCE(T -> Emb)) / 2,   T = MLP(mean_w E[word_w])

    over a batch's distinct items that have a title; both InfoNCE with temperature tau. Items of
    one title are not each other's negatives. The text tower is as small as titles are: word
    vectors, their mean, a dense layer with ReLU, a dense layer of ``embedding_dim``.

    Args:
        encoder, embedding_dim, micro_batch: as for ``PretrainingModel``.
        vocabulary: the words that are known (``title_words``), lower case; others share a
            vector.
        temperature: tau.
        chunk_size: anchors whose similarities the loss holds at once; None: all.
        hidden: width of word vectors and hidden layer.

    Source: CLIP (arXiv 2103.00020); tau as for COURIER's baseline (arXiv 2306.05001).
    """

    needs_titles = True

    def __init__(
        self,
        encoder: keras.Model,
        embedding_dim: int = 256,
        micro_batch: int | None = None,
        vocabulary: Sequence[str] = (),
        temperature: float = 0.1,
        chunk_size: int | None = None,
        hidden: int = 256,
        **kwargs: Any,
    ) -> None:
        super().__init__(encoder, embedding_dim, micro_batch, **kwargs)
        self.vocabulary = list(vocabulary)
        self.temperature, self.chunk_size, self.hidden = temperature, chunk_size, hidden
        self.words = keras.layers.TextVectorization(
            vocabulary=self.vocabulary, output_sequence_length=_WORDS, name="words"
        )
        self.word_vectors = keras.layers.Embedding(len(self.vocabulary) + 2, hidden, name="vectors")
        self.word_vectors.build(None)
        self.text_tower = keras.Sequential(
            [
                keras.layers.Dense(hidden, activation="relu", dtype="float32"),
                keras.layers.Dense(embedding_dim, dtype="float32"),
            ],
            name="text_tower",
        )
        self.text_tower.build([None, hidden])
        self.contrast = ClickSequenceContrast(temperature, chunk_size=chunk_size)
        self.build(tf.TensorShape([None, None, None, 3]))

    def numbers(self, batch: Batch) -> Batch:
        """The words of the titles as numbers; a number of its own for each title, 0 for none."""
        title = tf.strings.strip(batch["title"])
        known = tf.cast(tf.strings.length(title) > 0, tf.int64)
        words = {
            "title_words": self.words(title),
            "title_number": known * (1 + tf.strings.to_hash_bucket_fast(title, 2**62)),
        }
        return {**batch, **words}

    def measure(self, embeddings: tf.Tensor, batch: Batch, training: bool) -> Batch:
        """The symmetric contrast; ``batch`` is of ``data.pages(..., titles=True)``."""
        words = batch["title_words"]
        there = tf.cast(words > 0, tf.float32)[:, :, tf.newaxis]
        total = tf.reduce_sum(there * tf.cast(self.word_vectors(words), tf.float32), axis=1)
        mean = tf.math.divide_no_nan(total, tf.reduce_sum(there, axis=1))
        text = self.text_tower(mean)
        same = batch["title_number"]
        loss = self.contrast(text, embeddings, same > 0, same)
        loss += self.contrast(embeddings, text, same > 0, same)
        return {"loss": loss / 2}

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {
            **super().get_config(),
            "vocabulary": self.vocabulary,
            "temperature": self.temperature,
            "chunk_size": self.chunk_size,
            "hidden": self.hidden,
        }


def title_words(titles: Iterable[str], at_most: int = 20_000) -> list[str]:
    """The words of titles, most frequent first, as ``CLIP`` splits titles into words."""
    split = keras.layers.TextVectorization(output_mode="int")
    known = [title for title in titles if title.strip()]
    if not known:
        return []
    split.adapt(tf.data.Dataset.from_tensor_slices(known).batch(1024))
    return [word for word in split.get_vocabulary()[2:] if word][:at_most]
