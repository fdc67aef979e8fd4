"""The versions of a published model."""

from __future__ import annotations

from pathlib import Path


def versions(home: Path) -> list[int]:
    """Version numbers under a model's folder, rising.

    As TensorFlow Serving does, counts the entries whose whole name is a number; anything else
    (unfinished exports, notes) is passed over.

    Args:
        home: ``ROOT/NAME``.

    Returns:
        The numbers; empty where the folder is not there.
    """
    if not home.is_dir():
        return []
    names = [entry.name for entry in home.iterdir()]
    return sorted(int(name) for name in names if name.isascii() and name.isdigit())
