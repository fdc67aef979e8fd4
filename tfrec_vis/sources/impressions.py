"""Page views with what was shown and what was clicked, as in MIND's behaviors.tsv."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace

from tfrec_vis.sources.as_text import as_text
from tfrec_vis.sources.file_source import FileSource
from tfrec_vis.sources.nearest import refuse_unknown
from tfrec_vis.sources.row_format import unreadable
from tfrec_vis.sources.source import RawRow
from tfrec_vis.sources.table_config import (
    TIMESTAMP_SETTING,
    catalogue_of,
    image_roots_of,
    interactions_of,
    section_of,
)

_COLUMNS = {"user_id": True, "timestamp": True, "page_id": True, "shown": True, "clicked": False}
_MIND = {
    "names": ["impression_id", "user_id", "time", "history", "impressions"],
    "columns": {
        "page_id": "impression_id",
        "user_id": "user_id",
        "timestamp": "time",
        "shown": "impressions",
    },
    "timestamp_format": "%m/%d/%Y %I:%M:%S %p",
}


class ImpressionsSource(FileSource):
    """A log of page views, each with all it showed, and a catalogue as in ``table``.

    The items shown stand in one column: ``N1-1 N2-0`` (1: clicked) or, where another column
    lists the clicked ones, as item ids; lists are separated by spaces or are JSON arrays. Every
    item shown is an interaction of the page. A column of earlier clicks is not read: it has no
    times, and histories come from the log itself.

    Args:
        config: the recipe's ``source`` section: ``interactions`` {path, columns (page_id,
            user_id, timestamp, shown, clicked), features, timestamp_format, encoding, names},
            ``catalogue`` and ``images`` as in ``table``. Without ``columns`` the files are
            taken for MIND's behaviors.tsv.
        base: folder that relative paths count from.

    Raises:
        InputError: an unknown key, a wrong type, or a missing mapping.
    """

    kind = "impressions"
    timestamp_setting = TIMESTAMP_SETTING
    has_labels = True

    def __init__(self, config: Mapping[str, object], base: str) -> None:
        refuse_unknown(config, ("kind", "interactions", "catalogue", "images"), "source")
        found = section_of(config, "interactions", "timestamp_format")
        if "columns" not in found:
            found = {**_MIND, **found}
        log, self.context_features = interactions_of(found, base, _COLUMNS)
        self.log = replace(log, change=_page)
        self.timestamp_format = log.reading.timestamp_format
        self.items, self.item_features = catalogue_of(config, base)
        self.image_roots = image_roots_of(config, base, self.items)
        self.image_folders = self.image_roots


def _page(row: RawRow) -> Iterator[RawRow]:
    """The interactions of one page view."""
    values = dict(row.values)
    shown = _listed(values.pop("shown"))
    if not shown:
        yield unreadable(row.where, "nothing_shown", json.dumps(row.values, ensure_ascii=False))
        return
    if "clicked" not in values:
        labelled = [entry.rpartition("-")[::2] if "-" in entry else (entry, "") for entry in shown]
    else:
        clicked = _listed(values.pop("clicked"))
        chosen, there = set(clicked), set(shown)
        labelled = [(item, str(int(item in chosen))) for item in shown]
        for item in dict.fromkeys(clicked):
            if item not in there:
                excerpt = json.dumps({"item_id": item, **row.values}, ensure_ascii=False)
                yield unreadable(row.where, "clicked_not_shown", excerpt)
    for item, label in labelled:
        yield row._replace(values={**values, "item_id": item, "clicked": label})


def _listed(value: object) -> list[str]:
    """The entries of a JSON array, or of a text with spaces between."""
    text = str(value or "").strip()
    if text.startswith("["):
        try:
            return [entry for entry in map(as_text, json.loads(text)) if entry]
        except (ValueError, RecursionError):  # no JSON: taken as it stands
            return text.split()
    return text.split()
