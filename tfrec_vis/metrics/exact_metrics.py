"""Exact AUC and GAUC while a Keras model is trained."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from tfrec_vis.metrics.auc import auc
from tfrec_vis.metrics.gauc import gauc


class ExactMetrics(keras.callbacks.Callback):
    """Adds ``val_auc``, and ``val_gauc`` where groups are named, to the logs of every epoch.

    They are in the history, and callbacks that come after this one in the list see them:
    EarlyStopping(monitor="val_auc", mode="max"), ModelCheckpoint, TensorBoard. (keras.metrics.AUC
    counts at 200 thresholds, which goes wrong where click probabilities are all low; and a metric
    in ``compile`` is computed at every batch, too often for an exact one.)

    Args:
        validation: finite data set of batches (features, clicked [n], ...), in any order.
        groups: name of the feature with the group of each row, such as "user_id".

    Example:
        >>> rows = tf.data.Dataset.from_tensors(({"x": [[0.0], [1.0]]}, [0, 1]))
        >>> x = keras.Input([1], name="x")
        >>> score = keras.layers.Dense(1, "sigmoid", kernel_initializer="ones")(x)
        >>> model = keras.Model({"x": x}, score)
        >>> model.compile("sgd", "binary_crossentropy")
        >>> model.fit(rows, callbacks=[ExactMetrics(rows)], verbose=0).history["val_auc"]
        [1.0]
    """

    def __init__(self, validation: tf.data.Dataset, groups: str | None = None) -> None:
        super().__init__()
        self.validation, self.groups = validation, groups

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Predicts the validation rows and adds the metrics to ``logs``.

        Raises:
            ValueError: the model's outputs are not one number a row.
        """
        labels, scores, groups = [], [], []
        for features, clicked, *_ in self.validation:
            predicted = np.asarray(self.model.predict_on_batch(features))
            rows = len(clicked)
            if predicted.size != rows:
                raise ValueError(f"expected one score a row, {rows}, got shape {predicted.shape}")
            labels.append(np.reshape(clicked, -1))
            scores.append(predicted.reshape(-1))
            if self.groups is not None:
                groups.append(np.reshape(features[self.groups], -1))
        if logs is None or not labels:
            return
        logs["val_auc"] = auc(np.concatenate(labels), np.concatenate(scores))
        if groups:
            logs["val_gauc"] = gauc(
                np.concatenate(labels), np.concatenate(scores), np.concatenate(groups)
            )
