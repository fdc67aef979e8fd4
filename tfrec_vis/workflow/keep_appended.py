"""Prepared data to which was added are not lost to a command that names only the last day."""

from __future__ import annotations

from pathlib import Path

from tfrec_vis.data import PreparedDataError
from tfrec_vis.data.manifest import read_manifest
from tfrec_vis.errors import InputError


def keep_appended(prepared: Path) -> None:
    """Refuses to prepare anew in place of a folder to which data were added.

    The source names what was added last, so that all before would be gone for good. A folder
    without a readable manifest is no prepared data and may be replaced.

    Args:
        prepared: the folder that would be replaced.

    Raises:
        InputError: its manifest says that data were added.
    """
    try:
        manifest = read_manifest(prepared)
    except PreparedDataError:
        return
    if manifest.get("appended"):
        rows, items = manifest["interactions"]["kept"], manifest["item_count"]
        raise InputError(
            f"{prepared} holds {rows} rows and {items} items, partly added with --append; "
            "preparing it again would keep only what the source names now; add that with "
            f"`tfrec-vis prepare RECIPE --work {prepared.parent} --append`, or move or remove "
            f"{prepared} to start afresh"
        )
