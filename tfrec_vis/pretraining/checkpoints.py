"""Checkpoints of a pre-training run."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
import tf_keras as keras

from tfrec_vis.errors import InputError
from tfrec_vis.pretraining.random_state import random_generators
from tfrec_vis.pretraining.record import Record

_KEPT = 2
_NAME = re.compile(r"(batch-\d+)(\.index|\.data-\d+-of-\d+)?")


class Checkpoints(keras.callbacks.Callback):
    """Keeps the state of a training so that it can be taken up at the batch.

    Weights, the optimizer, the states of random generators, the record, the number of batches
    done, and the sums behind the means of an epoch that is not at its end. A checkpoint counts
    once it can be read from end to end (every part has a checksum); the two last ones are kept, so
    that a kill or damage at any moment leaves one.

    It has to be the last of the callbacks: what the others do at the end of an epoch belongs to
    the epoch.

    Args:
        model: a compiled model.
        folder: where to.
        seconds: time between checkpoints; the end of an epoch is always kept.
        record: of the run.
        more: further variables that belong to the state.
    """

    def __init__(
        self,
        model: keras.Model,
        folder: Path,
        seconds: float,
        record: Record,
        more: Sequence[tf.Variable] = (),
    ) -> None:
        super().__init__()
        self.folder = folder
        self.seconds = seconds
        self.record = record
        self._metrics = model.metrics
        self._taken_up: list[Any] = []
        model.optimizer.build(model.trainable_variables)
        # Not the optimizer's own count: loss scaling leaves out steps, and does not count them.
        self._batches = tf.Variable(0, dtype=tf.int64, trainable=False, name="batches")
        self._checkpoint = tf.train.Checkpoint(
            model=model,
            optimizer=model.optimizer,
            random=random_generators(model),
            record=record,
            batches=self._batches,
            more=list(more),
        )
        self._saved = time.monotonic()

    def restore(self) -> int:
        """Restores the last whole checkpoint, if there is one; gives the batches done.

        Raises:
            InputError: it is of a training with other settings, or of another model.
        """
        damaged = False
        for prefix in sorted(self._names(), key=_number, reverse=True):
            path = self.folder / prefix
            try:
                record = _read_whole(path)
            except (tf.errors.OpError, IndexError):  # as TensorFlow reads past an end
                print(f"  {path}: damaged, left out", flush=True)
                damaged = True
                self._remove([p for p in self.folder.iterdir() if _prefix(p) == prefix])
                continue
            self.record.check(record, self.folder)
            try:
                self._checkpoint.read(str(path)).assert_existing_objects_matched()
            except (AssertionError, ValueError) as error:
                raise InputError(
                    f"{self.folder}: of another model than the settings give now (another version "
                    "of tfrec-vis, or another encoder by the same name); remove the folder to "
                    "train anew"
                ) from error
            self._taken_up = [variable.numpy() for variable in self._sums()]
            done = int(self._batches.numpy())
            if damaged:
                print(f"  {path}, the checkpoint before it, is taken", flush=True)
            return done
        if damaged:
            print("  no whole checkpoint is left: training begins anew", flush=True)
        return 0

    def means(self) -> dict[str, float]:
        """The means of the epoch so far."""
        return {metric.name: float(metric.result()) for metric in self._metrics}

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Gives an epoch that is taken up its sums again: Keras has just set them to zero."""
        for variable, value in zip(self._sums(), self._taken_up, strict=False):
            variable.assign(value)
        self._taken_up = []

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Counts, and saves when it is time; the last batch together with the epoch's end."""
        self._batches.assign_add(1)
        last = batch + 1 == self.params.get("steps")
        if not last and time.monotonic() - self._saved >= self.seconds:
            self._save()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Saves; the next epoch begins without sums."""
        for metric in self._metrics:
            metric.reset_state()
        self._save()

    def remove(self) -> None:
        """Deletes the checkpoints of a training that is done."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _save(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._checkpoint.write(str(self.folder / f"batch-{int(self._batches.numpy())}"))
        kept = sorted(self._names(), key=_number)[-_KEPT:]
        # Older ones, and what a kill left unfinished.
        self._remove([path for path in self.folder.iterdir() if _prefix(path) not in kept])
        self._saved = time.monotonic()

    def _sums(self) -> list[tf.Variable]:
        return [variable for metric in self._metrics for variable in metric.variables]

    def _names(self) -> list[str]:
        """Checkpoints that are there, whole or not: the index is written last."""
        return [path.stem for path in self.folder.glob("batch-*.index") if _prefix(path)]

    def _remove(self, paths: Iterable[Path]) -> None:
        # The index first: without it the rest is no checkpoint.
        for path in sorted(paths, key=lambda path: path.suffix != ".index"):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _prefix(path: Path) -> str | None:
    match = _NAME.fullmatch(path.name)
    return match[1] if match else None


def _number(prefix: str) -> int:
    return int(prefix.partition("-")[2])


def _read_whole(path: Path) -> bytes:
    """Reads every part, which compares its checksum; gives the record."""
    reader = tf.train.load_checkpoint(str(path))
    found = b""
    for name in reader.get_variable_to_shape_map():
        value = reader.get_tensor(name)
        if name.startswith("record/"):
            found = value
    return found
