"""Fits rankers: many seeds and embeddings through one traced model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
import tf_keras as keras

from tfrec_vis.metrics import auc
from tfrec_vis.ranking.model import Ranker
from tfrec_vis.ranking.tables import RankerTables

Inputs = dict[str, np.ndarray]
_SCORED_AT_ONCE = 4096


@dataclass(frozen=True)
class Fit:
    """A fitted ranker's scores and weights.

    Attributes:
        scores: per named data set, click probabilities float64 [rows].
        weights: what training set, as ``Ranker.set_learned`` takes it.
        epochs: epochs that the kept weights have seen.
    """

    scores: dict[str, np.ndarray]
    weights: list[np.ndarray]
    epochs: int


class Trainer:
    """Trains one kind of ranker, again and again from new initial weights.

    Weights are those of the epoch with the highest validation AUC; training ends when an epoch
    does not raise it.

    Args:
        tables: vocabularies and tables.
        feature: the ranker's visual feature.
        vector_dim: d of the item embeddings, for the feature ``vector``.
        batch_size: rows a step.
        epochs: passes over the training rows, at most.
        learning_rate: Adam's.
    """

    def __init__(
        self,
        tables: RankerTables,
        feature: str,
        vector_dim: int = 0,
        batch_size: int = 512,
        epochs: int = 4,
        learning_rate: float = 1e-3,
    ) -> None:
        self.batch_size, self.epochs = batch_size, epochs
        self._make = lambda: Ranker(tables, feature, vector_dim)
        self.model = self._make()
        self.model.compile(optimizer=keras.optimizers.Adam(learning_rate))
        # model.predict takes longer to set up than these rows take to score.
        self._score = tf.function(self.model, autograph=False, reduce_retracing=True)

    def set_item_tables(self, tables: RankerTables, vectors: np.ndarray | None = None) -> None:
        """Sets what the model holds of the items: attributes, and vectors for ``vector``.

        Args:
            tables: of the same shapes as those of the start.
            vectors: float32 [items + 1, vector_dim].
        """
        self.model.attribute_values.assign(tables.values)
        if self.model.vector is not None:
            self.model.vector.set_table(vectors)

    def fit(
        self,
        train: tuple[Inputs, np.ndarray],
        validation: tuple[Inputs, np.ndarray],
        others: dict[str, Inputs],
        seed: int,
    ) -> Fit:
        """Fits from the initial weights of ``seed``; the result depends on nothing else.

        Args:
            train: inputs and clicked [rows].
            validation: the same; decides when to stop.
            others: data sets to score besides.
            seed: of the initial weights and of the order of rows.
        """
        keras.utils.set_random_seed(seed)
        self.model.set_learned(self._make().learned())
        self.model.fit_scale(train[0])
        for variable in self.model.optimizer.variables:
            if "learning_rate" not in variable.name:
                variable.assign(tf.zeros_like(variable))
        random = np.random.default_rng(seed)
        rows = len(train[1])

        def batches() -> Iterator[np.ndarray]:
            order = random.permutation(rows)
            for start in range(0, rows, self.batch_size):
                yield order[start : start + self.batch_size]

        columns = {n: tf.constant(v) for n, v in train[0].items()}
        clicked = tf.constant(train[1], tf.float32)
        dataset = tf.data.Dataset.from_generator(
            batches, output_signature=tf.TensorSpec([None], tf.int64)
        ).map(lambda i: ({n: tf.gather(c, i) for n, c in columns.items()}, tf.gather(clicked, i)))
        best, kept, scores, epochs = -np.inf, self.model.learned(), np.zeros(0), 0
        for epoch in range(1, self.epochs + 1):
            self.model.fit(dataset.prefetch(4), verbose=0)
            now = self.predict(validation[0])
            reached = auc(validation[1], now)
            if not reached > best:
                break
            best, kept, scores, epochs = reached, self.model.learned(), now, epoch
        self.model.set_learned(kept)
        return Fit(
            scores={"validation": scores, **{n: self.predict(i) for n, i in others.items()}},
            weights=kept,
            epochs=epochs,
        )

    def predict(self, inputs: Inputs) -> np.ndarray:
        """Click probabilities float64 [rows]."""
        logits = [np.zeros(0)]
        for start in range(0, len(inputs["item"]), _SCORED_AT_ONCE):
            part = {n: tf.constant(v[start : start + _SCORED_AT_ONCE]) for n, v in inputs.items()}
            logits.append(self._score(part).numpy())
        return 1.0 / (1.0 + np.exp(-np.concatenate(logits).astype(np.float64)))
