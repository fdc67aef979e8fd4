"""CSV and TSV files."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator

from tfrec_vis.sources.files import lines
from tfrec_vis.sources.row_format import Header, Reading, RowFormat, unreadable
from tfrec_vis.sources.source import RawRow


class CsvFormat(RowFormat):
    """Text with a header line, one record a line, quoted fields may hold line ends.

    A record that spans several lines and does not fit the header is taken for a stray quote:
    its first line alone is given up, and reading goes on with the next.

    Args:
        delimiter: the character between fields.
    """

    has_header_line = True

    def __init__(self, delimiter: str = ",") -> None:
        self._delimiter = delimiter

    def header(self, path: str, reading: Reading) -> Header:
        feed = _Feed(lines(path), reading.encoding)
        reader = csv.reader(feed, delimiter=self._delimiter)
        columns = reading.names or tuple(next(_records(reader), ()))
        if feed.has_foreign_bytes:
            raise ValueError(f"the header is no {reading.encoding} text")
        return Header(columns, next(_records(reader), None) is not None)

    def rows(self, path: str, name: str, reading: Reading, part: int = 0) -> Iterator[RawRow]:
        feed = _Feed(lines(path), reading.encoding)
        reader = csv.reader(feed, delimiter=self._delimiter)
        names = reading.names or tuple(next(_records(reader), ()))
        position = {column: i for i, column in enumerate(names)}
        places = {key: position.get(column) for key, column in reading.columns.items()}
        while True:
            feed.start_record()
            problem = ""
            fields: list[str] = []
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error:
                problem = "not_csv"
            if feed.ended and feed.taken:
                problem = "not_csv"
            elif not problem and not fields:
                continue
            elif not problem and len(fields) != len(names):
                problem = "ragged_row"
            if feed.has_foreign_bytes:
                problem = "not_utf8"
            where = f"{name}:{feed.first_line}"
            if problem:
                yield unreadable(where, problem, feed.taken[0].rstrip("\r\n"))
                feed.give_back_all_but_first()
                continue
            yield RawRow(
                where, {key: None if i is None else fields[i] for key, i in places.items()}
            )


class _Feed:
    """Lines for ``csv.reader`` that remembers which of them the current record took."""

    def __init__(self, source: Iterator[bytes], encoding: str) -> None:
        self._source = source
        self._encoding = encoding
        self._returned: deque[str] = deque()
        self.taken: list[str] = []
        self.first_line = 1
        self.ended = False

    def start_record(self) -> None:
        self.first_line += len(self.taken)
        self.taken = []
        self.ended = False

    def give_back_all_but_first(self) -> None:
        self._returned.extendleft(reversed(self.taken[1:]))
        del self.taken[1:]

    @property
    def has_foreign_bytes(self) -> bool:
        """Whether the record has bytes that the encoding does not know."""
        return any(not line.isascii() and _has_surrogate(line) for line in self.taken)

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        if self._returned:
            line = self._returned.popleft()
        else:
            raw = next(self._source, None)
            if raw is None:
                self.ended = True
                raise StopIteration
            line = raw.decode(self._encoding, "surrogateescape")
        self.taken.append(line)
        return line


def _has_surrogate(line: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in line)


def _records(reader: Iterator[list[str]]) -> Iterator[list[str]]:
    """Records that are no blank lines."""
    return (record for record in reader if record)
