"""Early stopping that is taken up where an interruption left it."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from tfrec_vis.pretraining.record import Record


class EarlyStopping(keras.callbacks.Callback):
    """Ends the training when held-out pages get no better, and goes back to the best weights.

    Like ``keras.callbacks.EarlyStopping`` with ``restore_best_weights``; but the best weights are
    variables and the rest is in the run's record, so that both are in its checkpoints.

    Args:
        model: the model that is trained.
        record: of the run; ``best`` and ``stopped`` are kept in it.
        patience: epochs without a better value after which training ends.
        epochs: of the whole training.
        monitor: the name of the value in the epoch's logs; higher is better.
    """

    def __init__(
        self,
        model: keras.Model,
        record: Record,
        patience: int,
        epochs: int,
        monitor: str = "val_mrr",
    ) -> None:
        super().__init__()
        self.record = record
        self.patience = patience
        self.epochs = epochs
        self.monitor = monitor
        self._weights = model.weights
        self.variables = [tf.Variable(weight, trainable=False) for weight in self._weights]

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Compares."""
        value = (logs or {})[self.monitor]
        best = self.record.values["best"]
        if best is None or value > best["value"]:
            self.record.values["best"] = {"epoch": epoch, "value": value}
            for kept, weight in zip(self.variables, self._weights, strict=True):
                kept.assign(weight)
        elif epoch - best["epoch"] >= self.patience:
            self.record.values["stopped"] = True
            self.model.stop_training = True

    def restore_best(self) -> None:
        """Gives the model the weights of the best epoch, and says when training ended early."""
        for kept, weight in zip(self.variables, self._weights, strict=True):
            weight.assign(kept)
        best = self.record.values["best"]
        last = best["epoch"] + 1 + self.patience
        if self.record.values["stopped"] and last < self.epochs:
            waited = "1 epoch" if self.patience == 1 else f"{self.patience} epochs"
            print(
                f"  stopped after epoch {last} of {self.epochs}: no better {self.monitor} "
                f"for {waited}",
                flush=True,
            )
        print(
            f"  weights of epoch {best['epoch'] + 1}, the best: {self.monitor} {best['value']:.4f}",
            flush=True,
        )
