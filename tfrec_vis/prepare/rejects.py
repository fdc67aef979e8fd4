"""Rejected records on their way to ``rejects-*.jsonl``."""

from __future__ import annotations

import json
from collections.abc import Mapping

from tfrec_vis.prepare.counts import Count
from tfrec_vis.prepare.hashing import shard_of
from tfrec_vis.prepare.validate import excerpt

Rejected = tuple[str, str, int, str, str, str]
"""Kind ("interactions" or "items"), file, length of the line's number, line, reason, excerpt."""


def rejected(kind: str, where: str, reason: str, values: Mapping[str, object]) -> Rejected:
    """The record of a reject; they sort in the order of the file."""
    source, _, line = where.rpartition(":")
    return kind, source, len(line), line, reason, excerpt(values)


def reject_count(reject: Rejected) -> tuple[tuple[str, str, str], Count]:
    """The reject as one count, with its place and excerpt as the example."""
    kind, source, length, line, reason, shown = reject
    return (kind, "rejected", reason), (1, (source, length, line, shown))


def reject_shard(reject: Rejected, shards: int) -> tuple[tuple[str, int], Rejected]:
    """The reject by kind and shard."""
    return (reject[0], place_shard(reject[1], reject[3], shards)), reject


def place_shard(source: str, line: str, shards: int) -> int:
    """The shard of the rejects of this file and line."""
    return shard_of(f"{source}:{line}", shards)


def reject_line(reject: Rejected) -> str:
    """The reject as a line of JSON."""
    _, source, _, line, reason, shown = reject
    values = {
        "source": source,
        "line": int(line) if line.isascii() and line.isdigit() else line,
        "reason": reason,
        "excerpt": shown,
    }
    return json.dumps(values, ensure_ascii=False) + "\n"
