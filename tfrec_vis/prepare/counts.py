"""What the pipeline counts: rows read, kept, merged and rejected, rows and clicks per split."""

from __future__ import annotations

from collections.abc import Iterable

Example = tuple[str, int, str, str]
"""File, length of the line's number, line, excerpt: sorts in the order of the file."""
Count = tuple[int, "Example | None"]


def add_counts(counts: Iterable[Count]) -> Count:
    """The sum, with the first example in order of place."""
    total = 0
    first: Example | None = None
    for number, example in counts:
        total += number
        if example is not None and (first is None or example < first):
            first = example
    return total, first
