"""Ratings as clicks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from tfrec_vis.sources.source import RawRow
from tfrec_vis.sources.table_files import TableFiles


def clicks_by_rating(table: TableFiles, column: str, lowest: float) -> TableFiles:
    """The table with ``clicked``: ``"1"`` where ``column`` is at least ``lowest``, else ``"0"``.

    What is no number is left for the check of ``clicked``, which rejects it.

    Args:
        table: interactions.
        column: the files' column of ratings.
        lowest: the lowest rating that counts as a click.
    """
    columns = {**table.reading.columns, "clicked": column}
    reading = replace(table.reading, columns=columns)
    return replace(table, reading=reading, change=partial(_with_click, lowest=lowest))


def _with_click(row: RawRow, lowest: float) -> Iterator[RawRow]:
    rating = row.values["clicked"]
    try:
        number = float(str(rating))
    except ValueError:
        number = math.nan
    clicked = str(int(number >= lowest)) if math.isfinite(number) else f"rating {rating}"
    yield row._replace(values={**row.values, "clicked": clicked})
