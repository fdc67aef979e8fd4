"""Numbers for items, given by many workers."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence

import apache_beam as beam
from apache_beam.pvalue import AsSingleton, PCollection
from apache_beam.transforms import combiners
from apache_beam.transforms.stats import ApproximateQuantiles

_RANGES = 256


class NumberItems(beam.PTransform):
    """Distinct item_ids -> (item_id, number), from ``first`` upwards in order of item_id.

    The ids are divided into ranges of about the same size. A range is sorted by itself; its first
    number follows from how many ids lie in the ranges before it.

    Args:
        first: the lowest number.
    """

    def __init__(self, first: int = 1) -> None:
        super().__init__()
        self.first = first

    def expand(self, ids: PCollection[str]) -> PCollection[tuple[str, int]]:
        bounds = ids | ApproximateQuantiles.Globally(_RANGES + 1)
        ranged = ids | beam.Map(_with_range, AsSingleton(bounds))
        sizes = ranged | combiners.Count.PerKey() | combiners.ToDict()
        return (
            ranged
            | beam.GroupByKey()
            | "number" >> beam.FlatMap(_numbered, AsSingleton(sizes), self.first)
        )


def _with_range(item_id: str, bounds: Sequence[str]) -> tuple[int, str]:
    return bisect_right(bounds, item_id), item_id


def _numbered(
    group: tuple[int, Iterable[str]], sizes: Mapping[int, int], first: int
) -> Iterator[tuple[str, int]]:
    number, ids = group
    before = sum(size for other, size in sizes.items() if other < number)
    return zip(sorted(ids), range(first + before, first + before + sizes[number]), strict=True)
