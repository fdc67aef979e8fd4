"""Back to an earlier version; imports no TensorFlow."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tfrec_vis.errors import InputError
from tfrec_vis.serving.publish import publish
from tfrec_vis.serving.versions import versions

_NOTE = "assets.extra/rollback.json"
"""In a copy: {"copy_of": the version it is a copy of}."""


def rollback(root: Path, name: str, to: int | None = None) -> Path:
    """Publishes a copy of an earlier version as the next one.

    Versions only rise and never change, so going back is going on: with versions 1, 2 and 3,
    version 4 becomes a copy of 2. Once more, and version 5 is a copy of 1: what has been left is
    not taken again.

    Args:
        root: the folder that holds all published models.
        name: the model's name.
        to: the version to copy; None: the one before the newest, or, where the newest is a copy
            itself, the one before that which it is a copy of.

    Returns:
        The folder of the new version.

    Raises:
        InputError: there is no such version.
    """
    home = root.absolute() / name
    there = versions(home)
    if not there:
        raise InputError(f"{home}: no versions there; name the models' folder and a model in it")
    if to is None:
        left = _origin(home / str(there[-1]))
        earlier = [version for version in there if version < left]
        if not earlier:
            raise InputError(f"{home}: no version before {left}; there are {_listed(there)}")
        to = earlier[-1]
    elif to not in there:
        raise InputError(f"{home}: no version {to}; there are {_listed(there)}")
    source = home / str(to)

    def copy(folder: Path) -> None:
        shutil.copytree(source, folder, dirs_exist_ok=True)
        note = folder / _NOTE
        note.parent.mkdir(exist_ok=True)
        note.write_text(json.dumps({"copy_of": _origin(source)}))

    return publish(copy, root, name)


def _origin(version: Path) -> int:
    """The version whose content this one has."""
    note = version / _NOTE
    return int(json.loads(note.read_text())["copy_of"]) if note.is_file() else int(version.name)


def _listed(there: list[int]) -> str:
    return ", ".join(map(str, there))
