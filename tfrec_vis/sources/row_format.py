"""What a file format offers: its columns, its parts, its rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from tfrec_vis.sources.source import RawRow, TimestampFormat

_EXCERPT = 200


class Header(NamedTuple):
    """The column names of a file (empty if it has none) and whether any row follows."""

    columns: tuple[str, ...]
    has_rows: bool


class RowFormat(ABC):
    """Reads the rows of one kind of file."""

    @abstractmethod
    def header(self, path: str) -> Header:
        """The file's columns.

        Raises:
            ValueError, OSError, EOFError: the file is not of this format.
        """

    def parts(self, path: str) -> int:
        """How many parts of the file may be read independently."""
        return 1

    @abstractmethod
    def rows(
        self,
        path: str,
        name: str,
        columns: Mapping[str, str],
        timestamp_format: TimestampFormat,
        part: int = 0,
    ) -> Iterator[RawRow]:
        """The rows of one part.

        Args:
            path: the file.
            name: what ``RawRow.where`` calls it.
            columns: contract column name -> the file's column name; columns that the file does
                not have give None.
            timestamp_format: how typed dates and times are written as text.
            part: 0 to ``parts(path) - 1``.
        """


def unreadable(where: str, problem: str, excerpt: str) -> RawRow:
    """A row that only says why it could not be read."""
    return RawRow(where, {"excerpt": excerpt[:_EXCERPT]}, problem)
