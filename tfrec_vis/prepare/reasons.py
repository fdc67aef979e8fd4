"""Why records are rejected, and what mends each."""

from __future__ import annotations

REASONS = {
    "ragged_row": "quote fields that hold the delimiter",
    "not_csv": "double the quotes inside quoted fields",
    "not_json": "one object a line, without line breaks inside",
    "not_utf8": (
        "convert the file to UTF-8, or set source.interactions.encoding or "
        "source.catalogue.encoding (kinds table, impressions)"
    ),
    "missing_item_id": "give every record an item_id",
    "missing_user_id": "leave such rows out, or give each visitor an id",
    "bad_timestamp": "write times as the source expects them, or set timestamp_format",
    "bad_clicked": "write 0 or 1 (or true, false); map the column that says whether, not how often",
    "nothing_shown": "leave such page views out, or map the column that lists the items",
    "clicked_not_shown": "list every item of the page as shown",
    "too_many_rows": (
        "leave robots out of the log, and visitors without an id of their own; or raise "
        "prepare.max_user_rows"
    ),
    "unknown_item": "write ids the same way in both tables: lost leading zeros, 12.0",
    "item_rejected": "mend the item",
    "duplicate_item_id": "one row an item",
    "image_missing": "correct the image column, source.images, or the folder of photos",
    "image_outside_root": (
        "add the folder or URI to source.images; for a link, the folder that it leads to"
    ),
    "image_empty": "copy the photo again",
    "image_too_large": "shrink it, or raise prepare.max_pixels",
    "image_not_decodable": (
        "open it in a viewer, save it again; a web page in place of the photo: download "
        "the photo itself"
    ),
    "image_needs_tensorflow_io": "tfrec-vis doctor",
}
"""Reason -> what to do about it; docs/data.md says what each means."""
