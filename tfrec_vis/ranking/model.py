"""The ranking model: DIN over ids and attributes, cross layers, visual features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs
import tf_keras as keras

from tfrec_vis.ranking.item_statistics import ItemStatistics
from tfrec_vis.ranking.standardize import Standardize
from tfrec_vis.ranking.tables import RankerTables
from tfrec_vis.ranking.target_attention import TargetAttention
from tfrec_vis.ranking.visual_features import TOP, ProjectedVector

FEATURES = ("none", "vector", "sim_score", "cluster_id")
"""How the ranker may see the pictures."""


class Ranker(tfrs.models.Model):
    """Click probability of a shown item.

    Inputs (``RankerTables.inputs``): user, item int [n], history int [n, L], timestamp int64
    [n], context numbers int [n]; for ``sim_score`` also sim_score float [n, L + 3].

    Every item is the concatenation of its attributes' embeddings; the target attends to the
    history (DIN); beside that go the share of history items with the target's value of each
    attribute, the dated item statistics, user and context embeddings. (Not the history's length:
    where un-clicked items are sampled, a bought-again target is left out of its own history.)
    Two cross layers and two dense layers give the logit. The statistics are standardized on the
    training rows. The visual feature comes in as

        vector      the projected embedding, one more part of every item
        sim_score   the cosines, beside the other dense inputs
        cluster_id  one more attribute (``RankerTables.with_clusters``)

    Args:
        tables: vocabularies and tables.
        feature: one of ``FEATURES``.
        vector_dim: d of the item embeddings, for ``vector``.
        embedding_dim: width of each attribute's embedding.

    Sources: DIN (arXiv 1706.06978); DCN-v2 (arXiv 2008.13535), tfrs.layers.dcn.Cross.
    """

    def __init__(
        self,
        tables: RankerTables,
        feature: str = "none",
        vector_dim: int = 0,
        embedding_dim: int = 8,
    ) -> None:
        super().__init__()
        if feature not in FEATURES:
            raise ValueError(f"expected a feature of {', '.join(FEATURES)}, got {feature!r}")
        self.feature = feature
        self.history_length = tables.history
        self.attribute_values = tf.Variable(tables.values, trainable=False, name="attributes")
        self.attribute_buckets = [
            tf.Variable(bucket, trainable=False, name=f"buckets_{i}")
            for i, bucket in enumerate(tables.buckets)
        ]

        def embedding(values: int, name: str) -> keras.layers.Embedding:
            return keras.layers.Embedding(
                values,
                embedding_dim,
                embeddings_initializer=keras.initializers.RandomNormal(stddev=0.05),
                name=name,
            )

        self.attribute_embeddings = [
            embedding(int(bucket.max()) + 1, f"attribute_{i}")
            for i, bucket in enumerate(tables.buckets)
        ]
        self.user_embedding = embedding(len(tables.user_id) + 1, "user_id")
        self.context_embeddings = {
            name: embedding(len(known) + 1, f"context_{i}")
            for i, (name, known) in enumerate(tables.context.items())
        }
        self.clicks = ItemStatistics(len(tables.click_item), name="clicks")
        self.clicks.set_events(tables.click_item, tables.click_time)
        self.shown = ItemStatistics(len(tables.shown_item), name="shown")
        self.shown.set_events(tables.shown_item, tables.shown_time)
        self.vector = (
            ProjectedVector(embedding_dim, len(tables.item_id), vector_dim, name="vector")
            if feature == "vector"
            else None
        )
        statistics = [self.clicks, self.shown] if self.shown.events else [self.clicks]
        self.standardize = Standardize(sum(s.width for s in statistics), name="standardize")
        self.attention = TargetAttention(name="attention")
        self.cross = [tfrs.layers.dcn.Cross(name=f"cross_{i}") for i in range(2)]
        self.dense = [keras.layers.Dense(u, "relu", name=f"dense_{u}") for u in (64, 32)]
        self.logit = keras.layers.Dense(1, name="logit")
        self.task = tfrs.tasks.Ranking(loss=keras.losses.BinaryCrossentropy(from_logits=True))
        self(self._example())

    def call(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> tf.Tensor:
        """Logits float32 [n]."""
        item, history = inputs["item"], inputs["history"]
        mask = history > 0
        target_values = tf.gather(self.attribute_values, item)
        history_values = tf.gather(self.attribute_values, history)
        target = self._item_parts(item, target_values)
        interest = self.attention(target, self._item_parts(history, history_values), mask)

        clicks = tf.reduce_sum(tf.cast(mask, tf.float32), axis=1, keepdims=True)
        same = (history_values == target_values[:, tf.newaxis]) & (history_values > 0)
        share = tf.math.divide_no_nan(
            tf.reduce_sum(tf.cast(same & mask[..., tf.newaxis], tf.float32), axis=1), clicks
        )
        parts = [
            target,
            interest,
            share,
            self.standardize(self._statistics(inputs)),
            self.user_embedding(inputs["user"]),
            *(layer(inputs[f"context_{n}"]) for n, layer in self.context_embeddings.items()),
        ]
        if self.feature == "sim_score":
            parts.append(inputs["sim_score"])
        x = first = tf.concat(parts, axis=1)
        for layer in self.cross:
            x = layer(first, x)
        for layer in self.dense:
            x = layer(x)
        return self.logit(x)[:, 0]

    # Graph code as it stands: AutoGraph would go through all of tf_keras and TFRS underneath.
    @tf.autograph.experimental.do_not_convert
    def train_step(self, inputs: tuple[dict[str, tf.Tensor], tf.Tensor]) -> dict[str, tf.Tensor]:
        """One optimizer step (TFRS's)."""
        return super().train_step(inputs)

    @tf.autograph.experimental.do_not_convert
    def predict_step(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """Logits (Keras's)."""
        return super().predict_step(inputs)

    def compute_loss(
        self, inputs: tuple[dict[str, tf.Tensor], tf.Tensor], training: bool = False
    ) -> tf.Tensor:
        """Cross-entropy of (inputs, clicked [n])."""
        features, clicked = inputs
        logits = self(features, training=training)
        return self.task(labels=clicked[:, tf.newaxis], predictions=logits[:, tf.newaxis])

    def fit_scale(self, inputs: dict[str, Any]) -> None:
        """Takes the scale of the item statistics from the training rows."""
        self.standardize.fit_to(self._statistics(inputs))

    def _statistics(self, inputs: dict[str, Any]) -> tf.Tensor:
        parts = [self.clicks(inputs["item"], inputs["timestamp"])]
        if self.shown.events:
            parts.append(self.shown(inputs["item"], inputs["timestamp"]))
        return tf.concat(parts, axis=1)

    def _item_parts(self, item: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
        parts = [
            embed(tf.gather(buckets, values[..., a]))
            for a, (embed, buckets) in enumerate(
                zip(self.attribute_embeddings, self.attribute_buckets, strict=True)
            )
        ]
        if self.vector is not None:
            parts.append(self.vector(item))
        return tf.concat(parts, axis=-1)

    def _example(self) -> dict[str, Any]:
        """One row of inputs, to create the weights."""
        length = self.history_length
        inputs: dict[str, Any] = {
            "user": tf.zeros([1], tf.int32),
            "item": tf.zeros([1], tf.int32),
            "history": tf.zeros([1, length], tf.int32),
            "timestamp": tf.zeros([1], tf.int64),
            **{f"context_{n}": tf.zeros([1], tf.int32) for n in self.context_embeddings},
        }
        if self.feature == "sim_score":
            inputs["sim_score"] = tf.zeros([1, length + TOP])
        return inputs

    def learned(self) -> list[np.ndarray]:
        """What training set: the trained weights, and the scale of the statistics."""
        return [v.numpy() for v in self._learned_variables()]

    def set_learned(self, values: Sequence[np.ndarray]) -> None:
        """Sets what ``learned`` gave."""
        for variable, value in zip(self._learned_variables(), values, strict=True):
            variable.assign(value)

    def _learned_variables(self) -> list[tf.Variable]:
        return [*self.trainable_variables, *self.standardize.variables]
