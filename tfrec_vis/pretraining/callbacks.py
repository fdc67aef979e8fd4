"""Callbacks of a pre-training run."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
import tf_keras as keras

_WIDTH = 100


class Checkpoints(keras.callbacks.Callback):
    """Keeps the state of a training so that it can be taken up at the batch.

    A checkpoint is taken for whole only once its files are written (the folder's ``checkpoint``
    file names it last); the two last ones are kept.

    Args:
        model: a compiled model.
        folder: where to.
        seconds: time between checkpoints; the last batch of an epoch is always kept.
    """

    def __init__(self, model: keras.Model, folder: Path, seconds: float) -> None:
        super().__init__()
        self.folder = folder
        self.seconds = seconds
        self.optimizer = model.optimizer
        self.optimizer.build(model.trainable_variables)
        # Not the optimizer's own count: loss scaling leaves out steps, and does not count them.
        self._batches = tf.Variable(0, dtype=tf.int64, trainable=False, name="batches")
        self._checkpoint = tf.train.Checkpoint(
            model=model, optimizer=model.optimizer, batches=self._batches
        )
        self._manager = tf.train.CheckpointManager(self._checkpoint, str(folder), max_to_keep=2)
        self._saved = time.monotonic()

    def restore(self) -> int:
        """Restores the last checkpoint, if there is one; gives the batches done."""
        latest = self._manager.latest_checkpoint
        if latest:
            self._checkpoint.restore(latest).assert_existing_objects_matched()
        return int(self._batches)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Counts, and saves when it is time."""
        self._batches.assign_add(1)
        if time.monotonic() - self._saved >= self.seconds:
            self._save()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Saves."""
        self._save()

    def remove(self) -> None:
        """Deletes the checkpoints of a training that is done."""
        # By way of another name: half a folder of checkpoints must not be restored from.
        gone = self.folder.with_name(self.folder.name + ".old")
        shutil.rmtree(gone, ignore_errors=True)
        if self.folder.exists():
            self.folder.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)

    def _save(self) -> None:
        self._manager.save(checkpoint_number=int(self._batches))
        self._saved = time.monotonic()


class Curves(keras.callbacks.Callback):
    """Writes losses and collapse alarms to TensorBoard, and a plain line now and then.

    Keras gives the mean since the epoch began; the curves show every batch's own value.

    Args:
        logs: TensorBoard folder.
        seconds: time between plain lines.
    """

    def __init__(self, logs: str | Path, seconds: float = 15.0) -> None:
        super().__init__()
        self._writer = tf.summary.create_file_writer(str(logs))
        self._seconds = seconds
        self._printed = time.monotonic()
        self._before: dict[str, float] = {}
        self._batches = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts the epoch's means."""
        self._before, self._batches = {}, 0
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the batch's values."""
        means = logs or {}
        step = int(self.model.optimizer.iterations)
        self._batches += 1
        with self._writer.as_default(step):
            for name, mean in means.items():
                total = mean * self._batches
                tf.summary.scalar(name, total - self._before.get(name, 0.0))
                self._before[name] = total
        if time.monotonic() - self._printed >= self._seconds:
            self._printed = time.monotonic()
            _print(f"epoch {self._epoch + 1} step {step}", means)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Prints the epoch's means."""
        _print(f"epoch {epoch + 1} done", logs or {})
        self._writer.flush()


def _print(head: str, values: Mapping[str, float]) -> None:
    """Prints in lines of at most 100 characters, the later ones indented."""
    lines = [f"  {head}"]
    for name, value in values.items():
        part = f"  {name} {value:.3f}"
        if len(lines[-1]) + len(part) > _WIDTH:
            lines.append("  ")
        lines[-1] += part
    print("\n".join(lines), flush=True)
