"""Parquet files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import BinaryIO

import pyarrow.parquet as pq
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from tfrec_vis.sources.as_text import as_text
from tfrec_vis.sources.row_format import Header, RowFormat, unreadable
from tfrec_vis.sources.source import RawRow, TimestampFormat


class ParquetFormat(RowFormat):
    """A Parquet file, read a row group at a time; values become text, image bytes stay."""

    def header(self, path: str) -> Header:
        with _open(path) as file:
            parquet = pq.ParquetFile(file)
            return Header(tuple(parquet.schema_arrow.names), parquet.metadata.num_rows > 0)

    def parts(self, path: str) -> int:
        with _open(path) as file:
            return pq.ParquetFile(file).metadata.num_row_groups

    def rows(
        self,
        path: str,
        name: str,
        columns: Mapping[str, str],
        timestamp_format: TimestampFormat,
        part: int = 0,
    ) -> Iterator[RawRow]:
        with _open(path) as file:
            parquet = pq.ParquetFile(file)
            metadata = parquet.metadata
            row = 1 + sum(metadata.row_group(i).num_rows for i in range(part))
            known = set(parquet.schema_arrow.names)
            wanted = sorted(known.intersection(columns.values()))
            for batch in parquet.iter_batches(1024, row_groups=[part], columns=wanted):
                for record in batch.to_pylist():
                    yield _row(f"{name}:row {row}", record, columns, timestamp_format)
                    row += 1


def _row(
    where: str,
    record: Mapping[str, object],
    columns: Mapping[str, str],
    timestamp_format: TimestampFormat,
) -> RawRow:
    values: dict[str, object] = {}
    try:
        for key, name in columns.items():
            value = record.get(name)
            keep = key == "image" and isinstance(value, bytes)
            values[key] = value if keep else as_text(value, timestamp_format)
    except UnicodeError:
        return unreadable(where, "not_utf8", repr(record))
    return RawRow(where, values)


def _open(path: str) -> BinaryIO:
    return FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)
