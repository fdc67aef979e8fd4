"""The page views of a prepared folder, without pictures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tfrec_vis.data.items import Items
from tfrec_vis.data.manifest import read_manifest
from tfrec_vis.data.records import page_record
from tfrec_vis.data.shards import OnDamage, padded, read_columns


@dataclass(frozen=True)
class Pages:
    """Page views as columns; lists are padded to the longest the manifest allows.

    Attributes:
        user_id, page_id: bytes object [pages].
        timestamp: int64 [pages], seconds.
        history: int32 [pages, page_history], item_index, newest first, 0 none.
        shown: int32 [pages, max_shown], item_index, 0 none.
        clicked: int32 [pages, max_shown], 1 or 0 (0 for padding).
        skipped: names of damaged shards that were left out.
    """

    user_id: np.ndarray
    page_id: np.ndarray
    timestamp: np.ndarray
    history: np.ndarray
    shown: np.ndarray
    clicked: np.ndarray
    skipped: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.timestamp)


def read_pages(
    prepared: str | Path, split: str = "pretrain", on_damage: OnDamage = "raise"
) -> Pages:
    """Reads all page views of a split into memory (about 150 bytes a page with short histories).

    Args:
        prepared: folder that ``prepare`` wrote.
        split: ``"pretrain"``.
        on_damage: ``"raise"``, or ``"skip"``: damaged shards are left out with a warning.

    Raises:
        PreparedDataError: not prepared data, or damaged: names the shard, the record, the mend.
    """
    manifest = read_manifest(prepared)
    records = manifest["splits"][split]["records"]
    columns = read_columns(prepared, f"pages-{split}", page_record(), records, on_damage)
    settings = manifest["settings"]
    return Pages(
        user_id=columns["user_id"],
        page_id=columns["page_id"],
        timestamp=columns["timestamp"],
        history=padded(columns["history"], settings["page_history"]),
        shown=padded(columns["shown"], settings["max_shown"]),
        clicked=padded(columns["clicked"], settings["max_shown"]),
        skipped=columns.skipped,
    )


def without_missing(table: Pages, catalogue: Items) -> Pages:
    """The pages without items that have no picture; those after them move up."""
    there = catalogue.item_id != ""

    def compacted(items: np.ndarray, values: np.ndarray) -> np.ndarray:
        kept = there[items]
        order = np.argsort(~kept, axis=1, kind="stable")
        return np.take_along_axis(np.where(kept, values, 0), order, axis=1)

    return replace(
        table,
        history=compacted(table.history, table.history),
        shown=compacted(table.shown, table.shown),
        clicked=compacted(table.shown, table.clicked),
    )
