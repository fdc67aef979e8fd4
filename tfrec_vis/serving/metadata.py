"""What an exported model says of itself: ``assets.extra/tfrec_vis.json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tfrec_vis
from tfrec_vis.errors import InputError

_FILE = "assets.extra/tfrec_vis.json"


def write_export_metadata(path: Path, model: str, **fields: Any) -> None:
    """Writes ``assets.extra/tfrec_vis.json``.

    Args:
        path: folder of a SavedModel.
        model: "encoder", "ranker" or "similar".
        fields: what else there is to know, such as ``encoder_fingerprint`` and
            ``data_manifest_sha256``; values that JSON knows.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> write_export_metadata(folder, "ranker", feature="sim_score")
        >>> read_export_metadata(folder)["feature"]
        'sim_score'
    """
    file = path / _FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    described = {"tfrec_vis": tfrec_vis.__version__, "model": model, **fields}
    file.write_text(json.dumps(described, indent=1), encoding="utf-8")


def read_export_metadata(path: Path) -> dict[str, Any]:
    """What ``write_export_metadata`` wrote into the folder of a SavedModel.

    Raises:
        InputError: nothing there, or it is not what was written.
    """
    file = path / _FILE
    try:
        described = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"{file}: cannot be read ({reason}); name the folder of a model that tfrec-vis exported"
        ) from error
    if not isinstance(described, dict) or "model" not in described:
        raise InputError(f"{file}: expected an object that names its model; export it again")
    return described
