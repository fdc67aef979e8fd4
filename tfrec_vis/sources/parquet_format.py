"""Parquet files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import BinaryIO

import pyarrow.parquet as pq
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from tfrec_vis.sources.as_text import as_text
from tfrec_vis.sources.row_format import Header, Reading, RowFormat, unreadable
from tfrec_vis.sources.source import RawRow


class ParquetFormat(RowFormat):
    """A Parquet file, read a row group at a time; values become text, image bytes stay."""

    def header(self, path: str, reading: Reading) -> Header:
        with _open(path) as file:
            parquet = pq.ParquetFile(file)
            return Header(tuple(parquet.schema_arrow.names), parquet.metadata.num_rows > 0)

    def parts(self, path: str) -> int:
        with _open(path) as file:
            return pq.ParquetFile(file).metadata.num_row_groups

    def rows(self, path: str, name: str, reading: Reading, part: int = 0) -> Iterator[RawRow]:
        with _open(path) as file:
            parquet = pq.ParquetFile(file)
            metadata = parquet.metadata
            row = 1 + sum(metadata.row_group(i).num_rows for i in range(part))
            known = set(parquet.schema_arrow.names)
            wanted = sorted(known.intersection(reading.columns.values()))
            for batch in parquet.iter_batches(1024, row_groups=[part], columns=wanted):
                for record in batch.to_pylist():
                    yield _row(f"{name}:row {row}", record, reading)
                    row += 1


def _row(where: str, record: Mapping[str, object], reading: Reading) -> RawRow:
    values: dict[str, object] = {}
    try:
        for key, name in reading.columns.items():
            value = record.get(name)
            keep = key == "image" and isinstance(value, bytes)
            values[key] = value if keep else as_text(value, reading.timestamp_format)
    except UnicodeError:
        return unreadable(where, "not_utf8", repr(record))
    return RawRow(where, values)


def _open(path: str) -> BinaryIO:
    return FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)
