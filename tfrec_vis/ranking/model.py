"""The ranking model: what DIN, DCN and DLRM have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs
import tf_keras as keras

from tfrec_vis.ranking.attribute_overlap import SUMMARIES, attribute_overlap
from tfrec_vis.ranking.dcn import Dcn
from tfrec_vis.ranking.din import Din
from tfrec_vis.ranking.dlrm import Dlrm
from tfrec_vis.ranking.features import parse_features
from tfrec_vis.ranking.item_statistics import ItemStatistics
from tfrec_vis.ranking.standardize import Standardize
from tfrec_vis.ranking.tables import RankerTables
from tfrec_vis.ranking.visual_features import VisualFeatures
from tfrec_vis.ranking.warm_start import grown

_BODIES = {"din": Din, "dcn": Dcn, "dlrm": Dlrm}
RANKERS = tuple(_BODIES)
"""The kinds of ranker."""
_EMBEDDING_L2 = 1.5e-4


class Ranker(tfrs.models.Model):
    """Click probability of a shown item.

    Inputs (``RankerTables.inputs``): user, item int [n], history int [n, L], timestamp int64
    [n], context numbers int [n]; for ``sim_score`` and ``sim_tier`` perhaps cosines float32
    [n, L], of the target with each click (0 at padding); without them they are computed from the
    vectors (``visual={"vector_dim": d}``); and perhaps target, a dict of what ``VisualFeatures``
    takes for pictures that are not in its tables.

    Every item is its attributes' embeddings, the user and each context feature an embedding. The
    numbers are the share of history items with the target's value of each attribute
    (``attribute_overlap``) and, standardized on the training rows, summaries of that overlap and
    the dated item statistics. (Not the history's length: where un-clicked items are sampled, a
    bought-again target is left out of its own history.) A body, ``Din``, ``Dcn`` or ``Dlrm``, makes
    one vector of all that, and a dense layer the logit. The visual features (``VisualFeatures``)
    are the last of the numbers. Embeddings are held small: 1.5e-4 of their squares' sum is added to
    the loss.

    Args:
        tables: vocabularies and tables.
        feature: visual features, as ``parse_features`` reads them.
        ranker: one of ``RANKERS``.
        visual: further arguments of ``VisualFeatures``: vector_dim, clusters, semantic, ...
        embedding_dim: width of each embedding.

    Sources: DIN (arXiv 1706.06978), DCN-v2 (arXiv 2008.13535), DLRM (arXiv 1906.00091).
    """

    def __init__(
        self,
        tables: RankerTables,
        feature: str = "none",
        *,
        ranker: str = "din",
        visual: Mapping[str, Any] | None = None,
        embedding_dim: int = 8,
    ) -> None:
        # Numbers and cosines are not rounded to half precision before they are standardized.
        super().__init__(name="ranker", autocast=False)
        if ranker not in _BODIES:
            raise ValueError(f"expected a ranker of {', '.join(RANKERS)}, got {ranker!r}")
        self.feature, self.ranker = feature, ranker
        self.history_length = tables.history
        features = parse_features(feature)
        # A target is never in its own history.
        shared = [a for a, name in enumerate(tables.attributes) if name != "item_id"]
        self.values = tf.Variable(tables.values[:, shared], trainable=False, name="values")
        self.rarity = tf.Variable(tables.rarity[:, shared], trainable=False, name="rarity")
        self.rows = tf.Variable(_embedding_rows(tables), trainable=False, name="rows")

        def embedding(values: int, name: str) -> keras.layers.Embedding:
            normal = keras.initializers.RandomNormal(stddev=0.05)
            return keras.layers.Embedding(
                values,
                embedding_dim,
                embeddings_initializer=normal,
                embeddings_regularizer=keras.regularizers.L2(_EMBEDDING_L2),
                name=name,
            )

        self.attributes = embedding(int(self.rows.numpy().max()) + 1, "attributes")
        self.user = embedding(len(tables.user_id) + 1, "user")
        self.context = {n: embedding(len(known) + 1, n) for n, known in tables.context.items()}
        self.clicks = ItemStatistics(len(tables.click_item), name="clicks")
        self.clicks.set_events(tables.click_item, tables.click_time)
        self.shown = ItemStatistics(len(tables.shown_item), name="shown")
        self.shown.set_events(tables.shown_item, tables.shown_time)
        statistics = [self.clicks, self.shown] if self.shown.events else [self.clicks]
        standardized = SUMMARIES + sum(s.width for s in statistics)
        self.standardize = Standardize(standardized, name="standardize")
        self.visual = (
            VisualFeatures(features, len(tables.item_id), tables.history, **(visual or {}))
            if features
            else None
        )
        self.body = _BODIES[ranker](name=ranker)
        self.logit = keras.layers.Dense(1, name="logit", dtype="float32")
        self.task = tfrs.tasks.Ranking(loss=keras.losses.BinaryCrossentropy(from_logits=True))
        self(self._example())

    def call(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> tf.Tensor:
        """Logits float32 [n]."""
        item, history = inputs["item"], inputs["history"]
        # A trainer computes the numbers once for all steps.
        numbers = inputs["numbers"] if "numbers" in inputs else self.numbers(inputs)
        shares = tf.cast(numbers[:, : -self.standardize.width], self.compute_dtype)
        dense = [shares, self.standardize(numbers[:, -self.standardize.width :])]
        if self.visual is not None:
            given = inputs.get("cosines"), inputs.get("target")
            dense.append(self.visual(item, history, *given))
        fields = [self.user(inputs["user"])]
        fields += [layer(inputs[f"context_{n}"]) for n, layer in self.context.items()]
        top = self.body(
            {
                "target": self.attributes(tf.gather(self.rows, item)),
                "history": self.attributes(tf.gather(self.rows, history)),
                "history_mask": history > 0,
                "fields": tf.stack(fields, axis=1),
                "dense": tf.concat(dense, axis=1),
            }
        )
        return self.logit(top)[:, 0]

    def numbers(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """The numbers that are not learned, before they are standardized: float32 [n, w]."""
        item, history = inputs["item"], inputs["history"]
        overlap = attribute_overlap(
            tf.gather(self.values, item),
            tf.gather(self.values, history),
            history > 0,
            tf.gather(self.rarity, item),
        )
        parts = [overlap, self.clicks(item, inputs["timestamp"])]
        if self.shown.events:
            parts.append(self.shown(item, inputs["timestamp"]))
        return tf.concat(parts, axis=1)

    # Graph code as it stands: AutoGraph would go through all of tf_keras and TFRS underneath.
    @tf.autograph.experimental.do_not_convert
    def train_step(self, inputs: tuple[dict[str, tf.Tensor], tf.Tensor]) -> dict[str, tf.Tensor]:
        """One optimizer step: TFRS's, with the loss scaled where the optimizer does that."""
        with tf.GradientTape() as tape:
            loss = self.compute_loss(inputs, training=True)
            held_small = tf.add_n(self.losses)
            total = loss + held_small
        self.optimizer.minimize(total, self.trainable_variables, tape=tape)
        metrics = {metric.name: metric.result() for metric in self.metrics}
        return {**metrics, "loss": loss, "regularization_loss": held_small, "total_loss": total}

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

    def fit_scale(self, numbers: tf.Tensor) -> None:
        """Takes the scale of summaries and statistics from the training rows' ``numbers``."""
        self.standardize.fit_to(numbers[:, -self.standardize.width :])

    def learned(self) -> dict[str, np.ndarray]:
        """What training set, by name: the trained weights, and the scale of the statistics."""
        return {name: variable.numpy() for name, variable in self._learned_variables().items()}

    def set_learned(self, values: Mapping[str, np.ndarray]) -> None:
        """Sets what ``learned`` gave.

        Raises:
            ValueError: values of another ranker.
        """
        variables = self._learned_variables()
        if set(values) != set(variables):
            odd = sorted(set(values) ^ set(variables))
            raise ValueError(f"expected the weights of this ranker; differing: {', '.join(odd)}")
        for name, variable in variables.items():
            variable.assign(values[name])

    def set_grown(self, values: Mapping[str, np.ndarray]) -> None:
        """Sets what ``learned`` gave of the same ranker over fewer categories, the first of these.

        A category that came since has the mean of the trained gates (of their logits): the layer
        behind them takes up what all have in common.

        Raises:
            ValueError: values of another ranker.
        """
        variables, grown = self._learned_variables(), dict(values)
        gates = {} if self.visual is None else self.visual.gate_layers
        gated = {layer.gate.ref() for layer in gates.values()}
        for name, variable in variables.items():
            if variable.ref() in gated and name in grown:
                new = variable.shape[0] - len(grown[name])
                grown[name] = np.pad(grown[name], (0, new), constant_values=grown[name].mean())
        self.set_learned(grown)

    def start_from(self, values: Mapping[str, np.ndarray]) -> None:
        """Goes on from what ``learned`` gave of the same ranker without images.

        Its logits are then those of that ranker; the visual features come in as they are trained:
        their weights keep their initial values, kernels weigh their outputs with zero.

        Raises:
            ValueError: values of another ranker.
        """
        variables = self._learned_variables()
        if odd := sorted(set(values) - set(variables)):
            raise ValueError(
                f"expected the weights of the same ranker without images; unknown: {', '.join(odd)}"
            )
        for name, value in values.items():
            variables[name].assign(grown(value, variables[name].numpy(), name))

    def _learned_variables(self) -> dict[str, tf.Variable]:
        learned = {v.ref() for v in (*self.trainable_variables, *self.standardize.variables)}
        return {n: v for n, v in sorted(self.get_weight_paths().items()) if v.ref() in learned}

    def _example(self) -> dict[str, Any]:
        """One row of inputs, to create the weights."""
        inputs: dict[str, Any] = {
            "user": tf.zeros([1], tf.int32),
            "item": tf.zeros([1], tf.int32),
            "history": tf.zeros([1, self.history_length], tf.int32),
            "timestamp": tf.zeros([1], tf.int64),
            **{f"context_{n}": tf.zeros([1], tf.int32) for n in self.context},
        }
        if {"sim_score", "sim_tier"} & {*parse_features(self.feature)}:
            inputs["cosines"] = tf.zeros([1, self.history_length])
        return inputs


def _embedding_rows(tables: RankerTables) -> np.ndarray:
    """Rows of one embedding table for all attributes: int32 [items + 1, attributes]."""
    columns, first = [], 0
    for values, buckets in zip(tables.values.T, tables.buckets, strict=True):
        columns.append(first + buckets[values])
        first += int(buckets.max()) + 1
    return np.stack(columns, axis=1).astype(np.int32)
