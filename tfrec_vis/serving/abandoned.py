"""What publishers that were killed leave behind."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from pathlib import Path

PARTIAL = ".partial-"
"""Begins the names of what is being written; readers pass such names over."""
_ABANDONED_AFTER = 86_400.0
"""Seconds without a change; nobody exports for a day."""


def partial_name() -> str:
    """A name that no other publisher has."""
    return f"{PARTIAL}{os.getpid()}-{uuid.uuid4().hex[:12]}"


def remove_abandoned(home: Path) -> None:
    """Removes folders ``.partial-...`` that have not changed for a day.

    The age decides, not the process id in the name: publishers may be on other machines, or in
    containers where every process has the same id. Each folder is renamed first, so that what a
    publisher renames at the same moment after all is either wholly removed or not touched.
    """
    for path in home.glob(f"{PARTIAL}*"):
        aside = home / partial_name()
        try:
            # Not the time of modification, which copying a folder takes over from the source.
            if time.time() - path.stat().st_ctime < _ABANDONED_AFTER:
                continue
            path.rename(aside)
        except FileNotFoundError:  # renamed or removed meanwhile
            continue
        shutil.rmtree(aside, ignore_errors=True)
