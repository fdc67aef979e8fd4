"""The devices that a pre-training run uses."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import tensorflow as tf

Read = Callable[..., tf.data.Dataset]


class Devices:
    """The distribution strategy of a run, and which of its processes writes what.

    Args:
        kind: "one", the device TensorFlow takes by default; "mirrored", all GPUs of this machine;
            or "workers", those of all processes that TF_CONFIG names.

    Attributes:
        strategy: of ``tf.distribute``.
        is_chief: whether this process writes the run's folder.
        in_step: whether other processes have to do what this one does, at the same moment.
    """

    def __init__(self, kind: str) -> None:
        self.strategy = tf.distribute.get_strategy() if kind == "one" else _strategy(kind)
        resolver = self.strategy.cluster_resolver if kind == "workers" else None
        self.is_chief = resolver is None or (resolver.task_id or 0) == 0
        self.in_step = resolver is not None

    def read(self, read: Read) -> tf.data.Dataset:
        """The dataset ``read(input_context)`` gives, each replica's part to the replica."""
        if self.strategy.num_replicas_in_sync == 1 and not self.in_step:
            return read(None)
        return self.strategy.distribute_datasets_from_function(read)

    def folder(self, path: Path) -> Path:
        """``path`` for the chief; a folder that is thrown away for the others.

        All processes have to take part in saving, one alone may write.
        """
        if self.is_chief:
            return path
        other = Path(tempfile.mkdtemp(prefix="tfrec-vis-worker-"))
        atexit.register(shutil.rmtree, other, ignore_errors=True)
        return other


@cache
def _strategy(kind: str) -> tf.distribute.Strategy:
    """One for all trainings of a process: the collectives of two would be taken for each other."""
    if kind == "mirrored":
        return tf.distribute.MirroredStrategy()
    return tf.distribute.MultiWorkerMirroredStrategy()
