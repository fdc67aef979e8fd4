"""JSON Lines files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice

from tfrec_vis.sources.as_text import as_text
from tfrec_vis.sources.files import lines
from tfrec_vis.sources.row_format import Header, Reading, RowFormat, unreadable
from tfrec_vis.sources.source import RawRow

_HEADER_LINES = 100
_SEARCHED_LINES = 100_000


class JsonLinesFormat(RowFormat):
    """One JSON object a line; its columns are the keys of the first 100 lines.

    Columns of the mapping that are not among them are looked for in the first 100,000 lines, up
    to the first that has them.
    """

    def header(self, path: str, reading: Reading) -> Header:
        columns: dict[str, None] = {}
        has_rows = False
        rest = lines(path)
        for line in islice(rest, _HEADER_LINES):
            has_rows = has_rows or bool(line.strip())
            columns.update(dict.fromkeys(_object(line, reading.encoding)))
        if has_rows and not columns:
            raise ValueError(f"no JSON object in the first {_HEADER_LINES} lines")
        missing = [name for name in reading.columns.values() if name not in columns]
        rest = islice(rest, _SEARCHED_LINES - _HEADER_LINES)
        while missing:
            # Most lines are told by their bytes, without parsing them.
            written = [
                form.encode(reading.encoding, "replace")
                for name in missing
                for form in {json.dumps(name), json.dumps(name, ensure_ascii=False)}
            ]
            found = next((line for line in rest if any(form in line for form in written)), None)
            if found is None:
                break
            columns.update(dict.fromkeys(_object(found, reading.encoding)))
            missing = [name for name in missing if name not in columns]
        return Header(tuple(columns), has_rows)

    def rows(self, path: str, name: str, reading: Reading, part: int = 0) -> Iterator[RawRow]:
        for number, line in enumerate(lines(path), start=1):
            if line.strip():
                yield _row(f"{name}:{number}", line, reading)


def _object(line: bytes, encoding: str) -> dict:
    """The object of a line; empty if it holds none."""
    try:
        record = json.loads(line.decode(encoding))
    except (ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def _row(where: str, line: bytes, reading: Reading) -> RawRow:
    excerpt = line.decode(reading.encoding, "replace").strip()
    try:
        record = json.loads(line.decode(reading.encoding))
        if not isinstance(record, dict):
            return unreadable(where, "not_json", excerpt)
        values = {
            key: as_text(record.get(name), reading.timestamp_format)
            for key, name in reading.columns.items()
        }
    except UnicodeError:
        return unreadable(where, "not_utf8", excerpt)
    except (ValueError, RecursionError):
        return unreadable(where, "not_json", excerpt)
    return RawRow(where, dict(values))
