"""How far a pre-training run is."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import tf_keras as keras
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

_WIDTH = 100


class TrainingProgress(keras.callbacks.Callback):
    """A progress bar where a terminal is there, else a plain line now and then.

    A context manager: the bar is taken down whatever ends the training.

    Args:
        steps: of the whole training.
        done: steps done before.
        seconds: time between plain lines.
        console: where to; default: standard output.
    """

    def __init__(
        self, steps: int, done: int, seconds: float = 15.0, console: Console | None = None
    ) -> None:
        super().__init__()
        self._steps = steps
        self._step = done
        self._seconds = seconds
        self._printed = time.monotonic()
        self._bar: Progress | None = None
        console = console or Console(file=sys.stdout)
        if console.is_terminal:
            self._bar = Progress(
                TextColumn("  {task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=console,
                transient=True,
            )
            self._task = self._bar.add_task("training", total=steps, completed=done)

    def __enter__(self) -> TrainingProgress:
        (self._bar or nullcontext()).__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        (self._bar or nullcontext()).__exit__(*error)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Notes the epoch."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Moves the bar, or prints when it is time."""
        self._step += 1
        head, means = f"epoch {self._epoch + 1}", logs or {}
        if self._bar is not None:
            loss = f" loss {means['loss']:.3f}" if "loss" in means else ""
            self._bar.update(self._task, completed=self._step, description=head + loss)
        elif time.monotonic() - self._printed >= self._seconds:
            self._printed = time.monotonic()
            print_values(f"{head} step {self._step} of {self._steps}", means)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Prints the epoch's means."""
        print_values(f"epoch {epoch + 1} done", logs or {})


def print_values(head: str, values: Mapping[str, float]) -> None:
    """Prints in lines of at most 100 characters, the later ones indented."""
    lines = [f"  {head}"]
    for name, value in values.items():
        part = f"  {name} {value:.3f}"
        if len(lines[-1]) + len(part) > _WIDTH:
            lines.append("  ")
        lines[-1] += part
    print("\n".join(lines), flush=True)
