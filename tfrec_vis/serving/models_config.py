"""models.config: which models TensorFlow Serving loads."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tfrec_vis.serving.versions import versions

LOCK = ".models.config.lock"
"""What publishers take turns with, in ROOT."""


def write_models_config(root: Path) -> Path:
    """Writes ``ROOT/models.config``, naming every model under `root` that has a version.

    A protocol buffer in text format (``tensorflow.serving.ModelServerConfig``), its paths
    absolute, as the server demands. The file is replaced in one step. Publishers take turns
    (``ROOT/.models.config.lock``, which a killed one gives back), so the last one names the
    models of all before it.

    Args:
        root: the folder that holds all published models.

    Returns:
        The file.
    """
    with publishers_turn(root):
        return replace_models_config(root)


@contextmanager
def publishers_turn(root: Path) -> Iterator[None]:
    """Keeps other publishers into `root` out; a killed one gives its turn back."""
    with (root / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def replace_models_config(root: Path) -> Path:
    """``write_models_config`` for a publisher whose turn it is."""
    root = root.absolute()
    target = root / "models.config"
    partial = root / ".models.config.partial"
    with partial.open("w", encoding="utf-8") as file:
        file.write(_models_config(root))
        file.flush()
        os.fsync(file.fileno())
    partial.replace(target)
    return target


def _models_config(root: Path) -> str:
    homes = sorted(home for home in root.iterdir() if _has_versions(home))
    configs = "".join(
        "  config {\n"
        f"    name: {_quoted(home.name)}\n"
        f"    base_path: {_quoted(str(home))}\n"
        '    model_platform: "tensorflow"\n'
        "  }\n"
        for home in homes
    )
    return f"model_config_list {{\n{configs}}}\n"


def _has_versions(home: Path) -> bool:
    if home.name.startswith("."):
        return False
    try:
        return bool(versions(home))
    except PermissionError:  # not a publisher's, such as lost+found of a volume
        return False


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
