"""Numbers by item_id, small enough for every worker to hold those of the whole catalogue."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence

import apache_beam as beam
import numpy as np

from tfrec_vis.prepare.hashing import stable_hash

_Columns = tuple[array, ...]


class ItemTable:
    """item_id -> one or more whole numbers, at 8 bytes and 8 for each number.

    Ids are known by their 64-bit hash alone: of 10^12 ids that are not in a table of 35 million,
    about two would be taken for one that is.

    Args:
        hashes: of the ids, rising, "Q".
        columns: numbers in the same order, "q".
    """

    def __init__(self, hashes: array, *columns: array) -> None:
        self._hashes = hashes
        self._columns = columns

    def __len__(self) -> int:
        return len(self._hashes)

    def get(self, item_id: str) -> tuple[int, ...] | None:
        """The item's numbers; None if it is not in the table."""
        wanted = _hash(item_id)
        place = bisect_left(self._hashes, wanted)
        if place == len(self._hashes) or self._hashes[place] != wanted:
            return None
        return tuple(column[place] for column in self._columns)


class BuildItemTable(beam.CombineFn):
    """(item_id, numbers), each id once -> ItemTable.

    Args:
        width: how many numbers an item has.
    """

    def __init__(self, width: int) -> None:
        self.width = width

    def create_accumulator(self) -> _Columns:
        return array("Q"), *(array("q") for _ in range(self.width))

    def add_input(self, accumulator: _Columns, element: tuple[str, Sequence[int]]) -> _Columns:
        item_id, numbers = element
        accumulator[0].append(_hash(item_id))
        for column, number in zip(accumulator[1:], numbers, strict=True):
            column.append(number)
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[_Columns]) -> _Columns:
        merged = self.create_accumulator()
        for accumulator in accumulators:
            for column, more in zip(merged, accumulator, strict=True):
                column.extend(more)
        return merged

    def extract_output(self, accumulator: _Columns) -> ItemTable:
        """Raises RuntimeError where two ids have one hash; one catalogue in 30,000 of that size."""
        hashes = np.frombuffer(accumulator[0], np.uint64)
        order = np.argsort(hashes, kind="stable")
        if (np.diff(hashes[order]) == 0).any():
            raise RuntimeError("two item_ids have the same 64-bit hash; rename one of the items")
        columns = [
            array(column.typecode, np.frombuffer(column, dtype)[order].tobytes())
            for column, dtype in zip(
                accumulator, (np.uint64, *(np.int64,) * self.width), strict=True
            )
        ]
        return ItemTable(columns[0], *columns[1:])


def _hash(item_id: str) -> int:
    return stable_hash("item", item_id)
