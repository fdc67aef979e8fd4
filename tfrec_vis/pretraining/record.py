"""What a training run remembers besides weights."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfrec_vis.errors import InputError
from tfrec_vis.pretraining.settings import PretrainSettings

FILE = "training.json"
_OTHERS = {"checkpoint_seconds", "compare", "learning_rates", "seeds"}
"""The time between checkpoints, and what concerns other methods."""


def recorded(settings: PretrainSettings) -> dict[str, Any]:
    """The settings as training.json has them: those that matter to the run."""
    return relevant(json.loads(json.dumps(asdict(settings))))


def relevant(settings: dict[str, Any]) -> dict[str, Any]:
    """Recorded settings without those that do not matter to the run, which once were kept, too."""
    return {name: value for name, value in settings.items() if name not in _OTHERS}


class Record(tf.train.experimental.PythonState):
    """The course of a run as JSON: part of every checkpoint, and kept as training.json.

    Attributes:
        settings: what has to be the same for a run to be taken up.
        values: ``holdout`` (intention retrieval after each epoch), ``alarms`` (step and text),
            ``embedding`` (mean pairwise cosine and effective rank, of the last batch),
            ``best`` (epoch, here from 0, in training.json from 1, and value, where training can
            stop early), ``stopped``.
        alarming: batches in a row, up to the last one, that alarm; in checkpoints alone.
    """

    def __init__(self, settings: PretrainSettings, prepared: dict[str, Any]) -> None:
        super().__init__()
        self.settings = {**recorded(settings), "prepared": prepared.get("checksums")}
        self.values: dict[str, Any] = {
            "holdout": [],
            "alarms": [],
            "embedding": None,
            "best": None,
            "stopped": False,
        }
        self.alarming = 0

    def serialize(self) -> str:
        """As text, for a checkpoint."""
        values = {"settings": self.settings, "alarming": self.alarming, **self.values}
        return json.dumps(values)

    def deserialize(self, text: str | bytes) -> None:
        """From a checkpoint's text."""
        values = json.loads(text)
        del values["settings"]
        self.alarming = values.pop("alarming", 0)
        self.values = values

    def check(self, text: str | bytes, where: Path) -> None:
        """Checks that what was written in ``where`` is of a run with the same settings.

        Raises:
            InputError: names the settings that differ.
        """
        there = relevant(json.loads(text)["settings"])
        names = sorted(there.keys() | self.settings.keys())
        differ = [name for name in names if there.get(name) != self.settings.get(name)]
        if differ:
            raise InputError(
                f"{where}: of a training with other settings ({', '.join(differ)}); remove the "
                "folder to train anew, or go on with the settings it was begun with"
            )

    def write(self, out: Path) -> None:
        """Writes training.json."""
        values = {"settings": self.settings, **self.values}
        if best := values["best"]:
            values["best"] = {**best, "epoch": best["epoch"] + 1}
        beside = out / f"{FILE}.new"
        beside.write_text(json.dumps(values, indent=1))
        os.replace(beside, out / FILE)

    def is_done(self, out: Path, model: str) -> bool:
        """Whether a run of the same settings ended in ``out`` with its model."""
        try:
            there = json.loads((out / FILE).read_text())
        except (OSError, ValueError):
            return False
        same = relevant(there.get("settings", {})) == self.settings
        return same and (out / model).is_file()
