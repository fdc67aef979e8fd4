"""What a file format offers: its columns, its parts, its rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from tfrec_vis.sources.source import RawRow

_EXCERPT = 200


@dataclass(frozen=True)
class Reading:
    """How the files of a table are read.

    Args:
        columns: contract column name -> the files' column name; columns that a file does not
            have give None.
        timestamp_format: how typed dates and times are written as text.
        encoding: of text files; one in which a line ends with the byte 10.
        names: the columns of CSV files without a header line; empty: the first line names them.
    """

    columns: Mapping[str, str] = field(hash=False)
    timestamp_format: str = "seconds"
    encoding: str = "utf-8"
    names: tuple[str, ...] = ()


class Header(NamedTuple):
    """The column names of a file (empty if it has none) and whether any row follows."""

    columns: tuple[str, ...]
    has_rows: bool


class RowFormat(ABC):
    """Reads the rows of one kind of file.

    Attributes:
        has_header_line: whether the columns are named by a line that a file may lack.
    """

    has_header_line = False

    @abstractmethod
    def header(self, path: str, reading: Reading) -> Header:
        """The file's columns.

        Raises:
            ValueError, OSError, EOFError: the file is not of this format.
        """

    def parts(self, path: str) -> int:
        """How many parts of the file may be read independently."""
        return 1

    @abstractmethod
    def rows(self, path: str, name: str, reading: Reading, part: int = 0) -> Iterator[RawRow]:
        """The rows of one part, 0 to ``parts(path) - 1``; ``name`` is the file's in ``where``."""


def unreadable(where: str, problem: str, excerpt: str) -> RawRow:
    """A row that only says why it could not be read."""
    return RawRow(where, {"excerpt": excerpt[:_EXCERPT]}, problem)
