"""The schema beside prepared records, and what of a batch does not fit it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from tfrec_vis.data.manifest import PreparedDataError


def read_schema(prepared: str | Path, kind: str) -> schema_pb2.Schema:
    """Reads the tensorflow-metadata schema of "items", "pages" or "impressions".

    Raises:
        PreparedDataError: there is none, or it cannot be read.
    """
    path = Path(prepared) / "schema" / f"{kind}.pbtxt"
    try:
        return text_format.Parse(path.read_text(encoding="utf-8"), schema_pb2.Schema())
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        raise PreparedDataError(f"{path}: no readable schema; prepare it again") from error


def find_misfit(columns: dict[str, Any], schema: schema_pb2.Schema) -> tuple[int, str, str] | None:
    """The first record of a batch that the schema does not allow.

    Whether features are there and of the right type is found in parsing already; this looks at
    the domains of integers and of texts, and at the lengths of lists.

    Args:
        columns: per feature an array [n], or (values, row_splits) of lists.
        schema: of this kind of record.

    Returns:
        (record in the batch, feature, what was expected and what came), or None.
    """
    found = []
    for feature in schema.feature:
        column = columns.get(feature.name)
        if column is None:
            continue
        if isinstance(column, tuple):
            values, splits = column
            lengths = np.diff(splits)
            if feature.HasField("value_count"):
                count = feature.value_count
                outside = lengths < count.min
                if count.HasField("max"):
                    outside |= lengths > count.max
                expected = f"{count.min} to {count.max or 'any number of'} values"
                found += _first(outside, feature.name, expected, lengths)
            owner = np.repeat(np.arange(len(lengths)), lengths)
        else:
            values, owner = column, np.arange(len(column))
        if feature.HasField("int_domain"):
            low, high = feature.int_domain.min, feature.int_domain.max
            outside = (values < low) | (values > high)
            found += _first(outside, feature.name, f"{low} to {high}", values, owner)
        elif feature.HasField("string_domain"):
            known = {value.encode() for value in feature.string_domain.value}
            outside = np.array([value not in known for value in values], bool)
            known_ones = f"one of {len(known)} known values"
            found += _first(outside, feature.name, known_ones, values, owner)
    return min(found, default=None)


def _first(
    outside: np.ndarray,
    name: str,
    expected: str,
    values: np.ndarray,
    owner: np.ndarray | None = None,
) -> list[tuple[int, str, str]]:
    if not outside.any():
        return []
    place = int(outside.argmax())
    value = values[place]
    shown = repr(value.decode(errors="replace")[:80]) if isinstance(value, bytes) else str(value)
    record = place if owner is None else int(owner[place])
    return [(record, name, f"expected {expected}, got {shown}")]
