"""A stage: a folder that is made once for given inputs and settings."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tfrec_vis

_STAMP = ".stage.json"


@dataclass(frozen=True)
class Stage:
    """One folder of the work folder, and how to make it.

    The stage writes into FOLDER.partial, which is renamed to FOLDER when it is done; a folder
    without ``.partial`` is therefore whole. It is done again when its fingerprint changes: the
    package's version, its settings, and the fingerprints and outputs of the stages it needs (a
    stage that was made anew has another output).

    Attributes:
        name: what the user calls it, e.g. "pretrain".
        folder: where its output goes.
        inputs: JSON-able settings and identities of input files.
        needs: stages whose output it reads.
        make: writes the output into the folder it is given.
        resumable: whether ``make`` goes on with what it finds in the folder.
        guard: raises where the output that is there must not be replaced; called before anything
            is written, renamed or removed.
        keeps: a folder in the output whose files are known by their names to be right, whatever
            the stage's inputs and settings were: a new making finds those of earlier ones, and of
            interrupted ones, unless it is forced. None: there is no such folder.
    """

    name: str
    folder: Path
    inputs: Any
    needs: Sequence[Stage]
    make: Callable[[Path], None]
    resumable: bool = False
    guard: Callable[[], None] | None = None
    keeps: str | None = None

    @property
    def fingerprint(self) -> str:
        """Identity of what the output would be."""
        needs = [[stage.fingerprint, _stamp(stage.folder).get("output")] for stage in self.needs]
        return _digest([self._settings, needs])

    @property
    def is_done(self) -> bool:
        """Whether the output is there, made from the same inputs and settings."""
        return _stamp(self.folder).get("fingerprint") == self.fingerprint

    @property
    def is_of_same_settings(self) -> bool:
        """Whether the output is there, made with the same settings from whatever it needed."""
        return _stamp(self.folder).get("settings") == self._settings

    def accept(self) -> None:
        """Takes the output that is there for made from what the needed stages hold now."""
        _write_stamp(self.folder, {**_stamp(self.folder), "fingerprint": self.fingerprint})

    def restore(self) -> None:
        """Puts the former output back where a kill left none, between the two renames."""
        old = self._old
        if old.exists() and not self.folder.exists():
            old.rename(self.folder)

    @property
    def _old(self) -> Path:
        """Where the former output is while the new one takes its place."""
        return self.folder.with_name(self.folder.name + ".old")

    @property
    def _settings(self) -> str:
        """Identity of the output but for the stages it needs."""
        return _digest([tfrec_vis.__version__, self.name, self.folder.name, self.inputs])

    @property
    def seconds(self) -> float:
        """Time it took, over all tries; 0 before it is done."""
        return float(_stamp(self.folder).get("seconds", 0.0))

    @property
    def peak_memory_mb(self) -> float:
        """Highest memory of the process that made it; 0 before it is done."""
        return float(_stamp(self.folder).get("peak_memory_mb", 0.0))

    def run(self, force: bool = False) -> bool:
        """Makes the output if it is not there; gives whether it had to."""
        partial = self.folder.with_name(self.folder.name + ".partial")
        if self.is_done and not force:
            shutil.rmtree(partial, ignore_errors=True)
            return False
        if self.guard is not None:
            self.guard()
        before = _stamp(partial)
        same = before.get("fingerprint") == self.fingerprint
        if not (same and before.get("done")):
            if not (same and self.resumable) or (force and not before.get("forced")):
                self._begin(partial, force)
                before = {"fingerprint": self.fingerprint, "settings": self._settings}
                before |= {"seconds": 0.0, "forced": force}
                _write_stamp(partial, before)
            self._make(partial, before)
        self._put_in_place(partial)
        return True

    def _begin(self, partial: Path, force: bool) -> None:
        """Makes an empty folder to write into, but for what ``keeps`` names."""
        if self.keeps is None or force:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            return
        kept = partial / self.keeps
        kept.mkdir(parents=True, exist_ok=True)
        for path in partial.iterdir():
            if path.is_dir() and path != kept:
                shutil.rmtree(path)
            elif path != kept:
                path.unlink()
        for path in (self.folder / self.keeps).glob("*"):
            if not (kept / path.name).exists():
                os.link(path, kept / path.name)

    def _make(self, partial: Path, stamp: dict[str, Any]) -> None:
        started = time.monotonic()
        try:
            self.make(partial)
        except BaseException:
            _write_stamp(partial, self._cost(stamp, started))
            raise
        stamp = self._cost(stamp, started)
        _write_stamp(partial, {**stamp, "done": True, "output": uuid.uuid4().hex})

    def _cost(self, stamp: dict[str, Any], started: float) -> dict[str, Any]:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return {
            **stamp,
            "seconds": round(stamp.get("seconds", 0.0) + time.monotonic() - started, 1),
            "peak_memory_mb": round(max(stamp.get("peak_memory_mb", 0.0), peak)),
        }

    def _put_in_place(self, partial: Path) -> None:
        old = self._old
        if self.folder.exists():
            shutil.rmtree(old, ignore_errors=True)
            self.folder.rename(old)
        partial.rename(self.folder)
        shutil.rmtree(old, ignore_errors=True)


def is_made_by_stage(folder: Path) -> bool:
    """Whether a stage put the folder in place, whichever it was made from."""
    return (folder / _STAMP).is_file()


def _digest(parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def _stamp(folder: Path) -> dict[str, Any]:
    try:
        stamp = json.loads((folder / _STAMP).read_text())
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def _write_stamp(folder: Path, stamp: dict[str, Any]) -> None:
    beside = folder / f"{_STAMP}.new"
    beside.write_text(json.dumps(stamp))
    os.replace(beside, folder / _STAMP)
