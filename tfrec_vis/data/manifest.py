"""The manifest of prepared data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class PreparedDataError(ValueError):
    """A folder is not prepared data, or its files are damaged."""


def read_manifest(prepared: str | Path) -> dict[str, Any]:
    """Reads manifest.json of a prepared folder.

    Raises:
        PreparedDataError: there is none.
    """
    path = Path(prepared) / "manifest.json"
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise PreparedDataError(
            f"{prepared} is not prepared data (no readable manifest.json): "
            "run `tfrec-vis prepare RECIPE`, or name its output folder"
        ) from error
