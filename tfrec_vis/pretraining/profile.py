"""A TensorFlow profile of a few steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf
import tf_keras as keras


class Profile(keras.callbacks.Callback):
    """Profiles a few steps, once the first ones (with their tracing) are over.

    Writes LOGS/plugins/profile, which TensorBoard shows with tensorboard-plugin-profile.

    Args:
        logs: TensorBoard folder.
        skip: steps before.
        steps: whole steps that are profiled.
    """

    def __init__(self, logs: str | Path, skip: int = 5, steps: int = 5) -> None:
        super().__init__()
        self._logs = str(logs)
        # Keras calls within a step: the first one that is profiled is not whole.
        self._begin, self._end = skip, skip + 1 + steps
        self._done = 0
        self._running = False

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts or ends when it is time."""
        if self._done == self._begin:
            tf.profiler.experimental.start(self._logs)
            self._running = True
        if self._done == self._end:
            self.stop()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Counts."""
        self._done += 1

    def stop(self) -> None:
        """Ends a profile that a short training has left open, and says what there is."""
        if self._running:
            tf.profiler.experimental.stop()
            self._running = False
            print(f"  profile: tensorboard --logdir {self._logs}", flush=True)
        elif self._done <= self._begin:
            print(f"  no profile: the training had only {self._done} steps", flush=True)
