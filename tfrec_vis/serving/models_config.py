"""models.config: which models TensorFlow Serving loads."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from tfrec_vis.serving.versions import versions


def write_models_config(root: Path) -> Path:
    """Writes ``ROOT/models.config``, naming every model under `root` that has a version.

    A protocol buffer in text format (``tensorflow.serving.ModelServerConfig``), its paths
    absolute, as the server demands. The file is replaced in one step. Where several publishers
    write at once, the last to write looks again after writing, so none is left out.

    Args:
        root: the folder that holds all published models.

    Returns:
        The file.
    """
    root = root.absolute()
    target = root / "models.config"
    written = None
    while (text := _models_config(root)) != written:
        partial = root / f".models.config.partial-{os.getpid()}-{uuid.uuid4().hex[:12]}"
        try:
            with partial.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
        written = text
    return target


def _models_config(root: Path) -> str:
    homes = sorted(home for home in root.iterdir() if home.is_dir() and versions(home))
    configs = "".join(
        "  config {\n"
        f"    name: {_quoted(home.name)}\n"
        f"    base_path: {_quoted(str(home))}\n"
        '    model_platform: "tensorflow"\n'
        "  }\n"
        for home in homes
        if not home.name.startswith(".")
    )
    return f"model_config_list {{\n{configs}}}\n"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
