"""The files of one table: one path or wildcard, one mapping of columns."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import apache_beam as beam
from apache_beam.pvalue import PBegin, PCollection

from tfrec_vis.errors import InputError
from tfrec_vis.sources.csv_format import CsvFormat
from tfrec_vis.sources.files import expand, relative
from tfrec_vis.sources.jsonl_format import JsonLinesFormat
from tfrec_vis.sources.nearest import listed, nearest
from tfrec_vis.sources.parquet_format import ParquetFormat
from tfrec_vis.sources.row_format import Header, Reading, RowFormat
from tfrec_vis.sources.source import RawRow

_FORMATS: dict[str, RowFormat] = {
    ".csv": CsvFormat(),
    ".tsv": CsvFormat("\t"),
    ".jsonl": JsonLinesFormat(),
    ".ndjson": JsonLinesFormat(),
    ".parquet": ParquetFormat(),
}
_COMPRESSED = (".gz", ".bz2")


@dataclass(frozen=True)
class TableFiles:
    """A table spread over one or more files of the same columns.

    Args:
        label: "interactions" or "catalogue", for messages.
        setting: the recipe key that names the files, for messages.
        pattern: path or wildcard (``.csv``, ``.tsv``, ``.jsonl``, ``.ndjson``, also ``.gz`` or
            ``.bz2`` after these, or ``.parquet``).
        base: folder that the file names in ``RawRow.where`` count from.
        reading: the columns, and how they are read.
        change: what becomes of a row that could be read; None: it stays as it is.
    """

    label: str
    setting: str
    pattern: str
    base: str
    reading: Reading
    change: Callable[[RawRow], Iterable[RawRow]] | None = None

    def files(self) -> list[str]:
        """The files, sorted.

        Raises:
            InputError: there is none.
        """
        found = expand(self.pattern)
        if not found:
            raise InputError(
                f"no {self.label} file at {self.pattern}; correct {self.setting} in the recipe"
            )
        return found

    def check(self) -> None:
        """Reads every file's header.

        Raises:
            InputError: no file, an unknown or broken format, a missing column, or no rows at all.
        """
        has_rows = False
        for path in self.files():
            if self.reading.names and not _format(path).has_header_line:
                raise InputError(
                    f"{self.setting}.names is for CSV and TSV files without a header line, and "
                    f"{path} has names of its own; leave it out"
                )
            header = self._header(path)
            has_rows = has_rows or header.has_rows
            if header.columns:
                self._check_columns(relative(path, self.base), header.columns)
        if not has_rows:
            name = relative(self.pattern, self.base)
            raise InputError(
                f"{name} has no rows: the {self.label} table is empty; correct {self.setting} in "
                "the recipe"
            )

    def with_columns_present(self, names: Iterable[str]) -> TableFiles:
        """The table with those columns besides that its first file has, under their own names."""
        found = expand(self.pattern)
        present = self._header(found[0]).columns if found else ()
        more = {name: name for name in names if name in present}
        return replace(
            self, reading=replace(self.reading, columns={**self.reading.columns, **more})
        )

    def read(self) -> beam.PTransform:
        """PBegin -> PCollection[RawRow]."""
        return _ReadTable(self)

    def parts(self, path: str) -> Iterator[tuple[str, int]]:
        """(path, part) for each part of a file that can be read on its own."""
        for part in range(_format(path).parts(path)):
            yield path, part

    def rows(self, path: str, part: int) -> Iterator[RawRow]:
        """The rows of one part of a file."""
        with self._damage_named(path):
            for row in _format(path).rows(path, relative(path, self.base), self.reading, part):
                if row.problem or self.change is None:
                    yield row
                else:
                    yield from self.change(row)

    def _header(self, path: str) -> Header:
        with self._damage_named(path):
            return _format(path).header(path, self.reading)

    @contextmanager
    def _damage_named(self, path: str) -> Iterator[None]:
        """Turns the errors of a file that is cut off, or of another format, into the user's."""
        try:
            yield
        except (ValueError, OSError, EOFError, zlib.error) as error:
            reason = " ".join(str(error).split())
            raise InputError(
                f"cannot read {path} as its extension says ({reason}); give a whole CSV, JSON "
                f"Lines or Parquet file in {self.setting}, text as UTF-8 (kinds table and "
                "impressions: or in the encoding that they name)"
            ) from error

    def _check_columns(self, name: str, present: tuple[str, ...]) -> None:
        for key, column in self.reading.columns.items():
            if column not in present:
                raise InputError(
                    f"{name} has no column {column!r} (for {key}); {nearest(column, present)}it "
                    f"has {listed(present)}; correct the file or {self.setting} in the recipe"
                )
            if present.count(column) > 1:
                raise InputError(
                    f"{name} has several columns {column!r} (for {key}); rename all but one"
                )


class _ReadTable(beam.PTransform):
    """Reads files side by side, the row groups of Parquet files too."""

    def __init__(self, table: TableFiles) -> None:
        super().__init__()
        self._table = table

    def expand(self, pbegin: PBegin) -> PCollection[RawRow]:
        table = self._table
        return (
            pbegin
            | "Files" >> beam.Create(table.files(), reshuffle=True)
            | "Parts" >> beam.FlatMap(table.parts)
            | "Spread" >> beam.Reshuffle()
            | "Rows" >> beam.FlatMapTuple(table.rows)
        )


def _format(path: str) -> RowFormat:
    name = path.lower()
    for suffix in _COMPRESSED:
        name = name.removesuffix(suffix)
    for extension, row_format in _FORMATS.items():
        if name.endswith(extension) and (name == path.lower() or extension != ".parquet"):
            return row_format
    raise InputError(f"cannot tell the format of {path}; use one of {listed(tuple(_FORMATS))}")
