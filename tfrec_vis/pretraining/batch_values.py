"""Each batch's own values out of Keras's means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tf_keras as keras


class BatchValues(keras.callbacks.Callback):
    """Base of callbacks that want each batch's own values: Keras gives the epoch's mean so far."""

    def __init__(self) -> None:
        super().__init__()
        self._totals: dict[str, float] = {}
        self._batches = 0
        self._before: tuple[dict[str, float], int] = ({}, 0)

    def on_batch_values(self, values: dict[str, float]) -> None:
        """Called after every batch with its values by name."""
        raise NotImplementedError

    def take_up(self, means: Mapping[str, float], batches: int) -> None:
        """Says that the next epoch is one of which ``batches``, with these means, are done."""
        self._before = ({name: mean * batches for name, mean in means.items()}, batches)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts the epoch's means, or takes them up."""
        self._totals, self._batches = self._before
        self._before = ({}, 0)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Takes the batches before off the sum."""
        self._batches += 1
        totals = {name: float(mean) * self._batches for name, mean in (logs or {}).items()}
        values = {name: total - self._totals.get(name, 0.0) for name, total in totals.items()}
        self._totals = totals
        self.on_batch_values(values)
