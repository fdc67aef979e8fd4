"""Fits rankers: many seeds and embeddings through one traced model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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
        weights: what training set, as ``Ranker.set_learned`` and ``Ranker.start_from`` take it.
        epochs: epochs that the kept weights have seen; 0: they are those of the start.
    """

    scores: dict[str, np.ndarray]
    weights: dict[str, np.ndarray]
    epochs: int


class Trainer:
    """Trains one kind of ranker, again and again from new initial weights.

    Weights are those of the epoch with the highest validation AUC; training ends when an epoch
    does not raise it over the epoch before. A training that goes on from given weights keeps these
    where no epoch is better.

    Args:
        tables: vocabularies and tables.
        feature: the ranker's visual features.
        ranker: its kind.
        visual: further arguments of its ``VisualFeatures``.
        batch_size: rows a step.
        epochs: passes over the training rows, at most.
        learning_rate: Adam's in the first epoch; that of epoch i of n is 1 - (i - 1) / n of it.
    """

    def __init__(
        self,
        tables: RankerTables,
        feature: str = "none",
        *,
        ranker: str = "din",
        visual: Mapping[str, Any] | None = None,
        batch_size: int = 512,
        epochs: int = 4,
        learning_rate: float = 1e-3,
    ) -> None:
        self.batch_size, self.epochs, self.learning_rate = batch_size, epochs, learning_rate
        self._make = lambda: Ranker(tables, feature, ranker=ranker, visual=visual)
        self.model = self._make()
        self.model.compile(optimizer=keras.optimizers.Adam(learning_rate))
        # A function that makes variables when it is first called is traced twice.
        self.model.optimizer.build(self.model.trainable_variables)
        self._fresh = [variable.numpy() for variable in self.model.optimizer.variables]
        self._epoch = tf.function(self._steps, autograph=False, reduce_retracing=True)
        # model.predict takes longer to set up than these rows take to score.
        self._score = tf.function(self.model, autograph=False, reduce_retracing=True)
        self._numbers = tf.function(self.model.numbers, autograph=False, reduce_retracing=True)

    def set_item_tables(self, **visual: np.ndarray | None) -> None:
        """Sets the tables of the visual features, if there are any.

        Args:
            visual: arguments of ``VisualFeatures.set_tables``.
        """
        if self.model.visual is not None:
            self.model.visual.set_tables(**visual)

    def fit(
        self,
        train: tuple[Inputs, np.ndarray],
        validation: tuple[Inputs, np.ndarray],
        others: dict[str, Inputs],
        seed: int,
        start: Mapping[str, np.ndarray] | None = None,
    ) -> Fit:
        """Fits from the initial weights of ``seed``; the result depends on nothing else.

        Args:
            train: inputs and clicked [rows].
            validation: the same; decides when to stop.
            others: data sets to score besides.
            seed: of the initial weights and of the order of rows.
            start: weights of the same ranker, with or without images, to go on from; they are a
                candidate themselves, as epoch 0.
        """
        keras.utils.set_random_seed(seed)
        self.model.set_learned(self._make().learned())
        columns = {n: tf.constant(v) for n, v in train[0].items()}
        columns["numbers"] = self._numbers(columns)
        self.model.fit_scale(columns["numbers"])
        best, scores, epochs = -np.inf, np.zeros(0), 0
        if start is not None:
            self.model.start_from(start)
            scores = self.predict(validation[0])
            best = auc(validation[1], scores)
        kept = self.model.learned()
        for variable, value in zip(self.model.optimizer.variables, self._fresh, strict=True):
            variable.assign(value)
        random = np.random.default_rng(seed)
        clicked = tf.constant(train[1], tf.float32)
        before = -np.inf
        for epoch in range(1, self.epochs + 1):
            left = 1 - (epoch - 1) / self.epochs
            self.model.optimizer.learning_rate = self.learning_rate * left
            self._epoch(columns, clicked, tf.constant(random.permutation(len(train[1]))))
            now = self.predict(validation[0])
            reached = auc(validation[1], now)
            if not reached > before:
                break
            before = reached
            if reached > best:
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

    def _steps(
        self, columns: dict[str, tf.Tensor], clicked: tf.Tensor, order: tf.Tensor
    ) -> tf.Tensor:
        """One pass over the rows, all its steps in one call of the graph."""
        rows = tf.shape(order)[0]

        def step(start: tf.Tensor) -> list[tf.Tensor]:
            chosen = order[start : start + self.batch_size]
            batch = {n: tf.gather(column, chosen) for n, column in columns.items()}
            logs = self.model.train_step((batch, tf.gather(clicked, chosen)))
            with tf.control_dependencies([logs["loss"]]):
                return [start + self.batch_size]

        return tf.while_loop(lambda start: start < rows, step, [0], parallel_iterations=1)[0]
