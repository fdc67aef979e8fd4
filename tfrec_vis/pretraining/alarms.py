"""Alarms that speak while a model is trained."""

from __future__ import annotations

from typing import Any

from tfrec_vis.pretraining.batch_values import BatchValues
from tfrec_vis.pretraining.diagnostics import collapse_alarm
from tfrec_vis.pretraining.record import Record

_MEASURES = ("mean_pairwise_cosine", "effective_rank")
_ROW = 10
"""Batches in a row that have to alarm: one alone may be small, or odd."""


class Alarms(BatchValues):
    """Says once, in one line, that the embedding collapses, and keeps it in the run's record.

    It speaks after ten batches in a row that alarm, or at the end of an epoch whose means do.

    Args:
        record: of the run; ``alarms`` gets {"step", "text"}, ``embedding`` what was measured of
            the last batch.
    """

    def __init__(self, record: Record) -> None:
        super().__init__()
        self._record = record

    def on_batch_values(self, values: dict[str, float]) -> None:
        """Counts batches that alarm."""
        if _MEASURES[0] in values:
            self._record.values["embedding"] = {name: float(values[name]) for name in _MEASURES}
        text = self._alarm(values)
        self._record.alarming = self._record.alarming + 1 if text else 0
        if text and self._record.alarming == _ROW:
            self._speak(text)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Looks at the epoch's means."""
        if text := self._alarm(logs or {}):
            self._speak(text)

    def _alarm(self, values: dict[str, float]) -> str | None:
        if _MEASURES[0] not in values:
            return None
        cosine, rank = (values[name] for name in _MEASURES)
        return collapse_alarm(float(cosine), float(rank), self.model.embedding_dim)

    def _speak(self, text: str) -> None:
        alarms = self._record.values["alarms"]
        if alarms:
            return
        step = int(self.model.optimizer.iterations.numpy())
        alarms.append({"step": step, "text": text})
        print(f"  warning: step {step}: {text}; see docs/pretraining.md", flush=True)
