"""What every source of raw data offers to ``prepare``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import apache_beam as beam


class RawRow(NamedTuple):
    """One record of a log or a catalogue, under the contract's column names.

    Args:
        where: file name and 1-based line at which the record starts
            (``"transactions_train.csv:123"``), ``"file.parquet:row 7"``, or file and item_id.
        values: contract column name -> text, or None where the record has no value. Only
            ``image`` may also be bytes.
        problem: why the record could not be read (``"ragged_row"``, ``"not_csv"``,
            ``"not_json"``, ``"not_utf8"``, of page views also ``"nothing_shown"`` and
            ``"clicked_not_shown"``), else empty. ``values`` then holds ``"excerpt"`` alone.
    """

    where: str
    values: dict[str, object]
    problem: str = ""


class Source(ABC):
    """An adapter from a raw layout to interactions and a catalogue.

    Attributes:
        kind: the recipe's name of the layout.
        item_features: names of the declared item features.
        context_features: names of the declared context features of interactions.
        has_labels: whether interactions carry ``clicked``; without it every row is a click.
        timestamp_format: what ``timestamp`` texts are: "seconds" or "milliseconds" since 1970,
            "iso" (ISO 8601), or a pattern of ``strptime``; UTC where no zone is given.
        timestamp_setting: the recipe's key of that; empty where the layout fixes it.
        image_roots: folders that image paths must stay under; relative image paths are resolved
            against the first.
    """

    kind: str
    item_features: tuple[str, ...]
    context_features: tuple[str, ...]
    has_labels: bool
    timestamp_format: str
    timestamp_setting: str = ""
    image_roots: tuple[str, ...]

    @abstractmethod
    def files(self) -> list[str]:
        """Every log and catalogue file, wildcards expanded, sorted within each table."""

    @abstractmethod
    def check(self) -> None:
        """Looks at the files' presence and headers, before any pipeline is started.

        Raises:
            InputError: a file or folder is missing, a wildcard matches nothing, a column is
                missing, or a table has no rows.
        """

    @abstractmethod
    def interactions(self) -> beam.PTransform:
        """The log as a transform, PBegin -> PCollection[RawRow].

        Rows have ``user_id``, ``item_id``, ``timestamp``, where mapped ``clicked`` and
        ``page_id``, and the context features.
        """

    @abstractmethod
    def catalogue(self) -> beam.PTransform:
        """The items as a transform, PBegin -> PCollection[RawRow].

        Rows have ``item_id``, ``image``, where mapped ``title`` and ``category``, and the item
        features.
        """
