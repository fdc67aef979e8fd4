"""Any log and catalogue in CSV, JSON Lines or Parquet, by a mapping of columns."""

from __future__ import annotations

from collections.abc import Mapping

from tfrec_vis.sources.file_source import FileSource
from tfrec_vis.sources.nearest import refuse_unknown
from tfrec_vis.sources.row_format import Reading
from tfrec_vis.sources.table_config import (
    FILE_KEYS,
    catalogue_of,
    columns_of,
    encoding_of,
    features_of,
    files_of,
    image_roots_of,
    names_of,
    section,
)
from tfrec_vis.sources.timestamp_format import timestamp_format

_COLUMNS = {"user_id": True, "item_id": True, "timestamp": True}
_COLUMNS |= {"clicked": False, "page_id": False}
_PLACE = "source.interactions"


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
    timestamp_setting = "source.interactions.timestamp_format"

    def __init__(self, config: Mapping[str, object], base: str) -> None:
        refuse_unknown(config, ("kind", "interactions", "catalogue", "images"), "source")
        found = section(config, "interactions", (*FILE_KEYS, "timestamp_format"))
        columns = columns_of(found, _COLUMNS, _PLACE)
        context = features_of(found, _PLACE)
        self.timestamp_format = timestamp_format(
            found.get("timestamp_format", "seconds"), self.timestamp_setting
        )
        self.context_features = tuple(context)
        self.has_labels = "clicked" in columns
        reading = Reading(
            columns | context,
            self.timestamp_format,
            encoding_of(found, _PLACE),
            names_of(found, _PLACE),
        )
        self.log = files_of("interactions", found, base, reading)
        self.items, self.item_features = catalogue_of(config, base)
        self.image_roots = image_roots_of(config, base, self.items)
        self.image_folders = self.image_roots
