"""The curves of a pre-training run."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfrec_vis.pretraining.batch_values import BatchValues


class Curves(BatchValues):
    """Writes the curves of a training to TensorBoard.

    Losses, collapse alarms, learning rate and gradient norm of every batch; after each epoch
    also what other callbacks put into its logs as ``val_...``.

    Args:
        writer: of TensorBoard.
    """

    def __init__(self, writer: tf.summary.SummaryWriter) -> None:
        super().__init__()
        self._writer = writer

    def on_batch_values(self, values: dict[str, float]) -> None:
        """Writes the batch's values."""
        optimizer = self.model.optimizer
        inner = getattr(optimizer, "inner_optimizer", optimizer)
        rates = {"learning_rate": float(inner.learning_rate.numpy())}
        if hasattr(inner, "gradient_norm"):
            rates["gradient_norm"] = float(inner.gradient_norm.numpy())
        with self._writer.as_default(int(optimizer.iterations.numpy())):
            for name, value in (values | rates).items():
                tf.summary.scalar(name, value)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the held-out values."""
        with self._writer.as_default(int(self.model.optimizer.iterations.numpy())):
            for name, value in (logs or {}).items():
                if name.startswith("val_"):
                    tf.summary.scalar(name, value)
        self._writer.flush()
