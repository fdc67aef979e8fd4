"""Sorting more than fits into memory."""

from __future__ import annotations

import heapq
import pickle
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any, TypeVar

Element = TypeVar("Element")
IN_MEMORY = 64 << 20
"""Bytes held at once."""
_OVERHEAD = 200


def sort_bounded(
    elements: Iterable[Element],
    size: Callable[[Element], int],
    in_memory: int = IN_MEMORY,
) -> Iterator[Element]:
    """The elements in order, of which no more than some are in memory at once.

    Runs that fill the memory are sorted, put into temporary files and merged.

    Args:
        elements: comparable, and picklable.
        size: an element's bytes, about.
        in_memory: bytes of one run.
    """
    runs: list[IO[bytes]] = []
    run: list[Element] = []
    held = 0
    for element in elements:
        run.append(element)
        held += size(element) + _OVERHEAD
        if held >= in_memory:
            runs.append(_store(sorted(run)))
            run, held = [], 0
    run.sort()
    if not runs:
        yield from run
        return
    try:
        yield from heapq.merge(*map(_load, runs), run)
    finally:
        for file in runs:
            file.close()


def _store(run: list[Any]) -> IO[bytes]:
    file = tempfile.TemporaryFile()
    for element in run:
        pickle.dump(element, file, pickle.HIGHEST_PROTOCOL)
    return file


def _load(file: IO[bytes]) -> Iterator[Any]:
    file.seek(0)
    while True:
        try:
            yield pickle.load(file)
        except EOFError:
            return
