"""Any log and catalogue in CSV, JSON Lines or Parquet, by a mapping of columns."""

from __future__ import annotations

from collections.abc import Mapping

from tfrec_vis.sources.file_source import FileSource
from tfrec_vis.sources.nearest import refuse_unknown
from tfrec_vis.sources.table_config import (
    TIMESTAMP_SETTING,
    catalogue_of,
    image_roots_of,
    interactions_of,
    section_of,
)

_COLUMNS = {"user_id": True, "item_id": True, "timestamp": True}
_COLUMNS |= {"clicked": False, "page_id": False}


class TableSource(FileSource):
    """A log and a catalogue whose columns the recipe names.

    Args:
        config: the recipe's ``source`` section: ``interactions`` {path, columns, features,
            timestamp_format, encoding, names}, ``catalogue`` {path, columns, features, encoding,
            names}, ``images`` (a folder or a list of folders; default: the catalogue's folder).
            ``columns`` maps contract names to the file's, ``features`` is a list of columns or a
            mapping of names to columns, ``names`` lists the columns of CSV files without header.
        base: folder that relative paths count from.

    Raises:
        InputError: an unknown key, a wrong type, a missing mapping, or a feature that takes a
            name of the contract.
    """

    kind = "table"
    timestamp_setting = TIMESTAMP_SETTING

    def __init__(self, config: Mapping[str, object], base: str) -> None:
        refuse_unknown(config, ("kind", "interactions", "catalogue", "images"), "source")
        found = section_of(config, "interactions", "timestamp_format")
        self.log, self.context_features = interactions_of(found, base, _COLUMNS)
        self.timestamp_format = self.log.reading.timestamp_format
        self.has_labels = "clicked" in self.log.reading.columns
        self.items, self.item_features = catalogue_of(config, base)
        self.image_roots = image_roots_of(config, base, self.items)
        self.image_folders = self.image_roots
