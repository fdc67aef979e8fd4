"""Beam transforms of the catalogue."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import apache_beam as beam

from tfrec_vis.prepare.hashing import shard_of
from tfrec_vis.prepare.images import read_image, shrink_image
from tfrec_vis.prepare.item_table import ItemTable
from tfrec_vis.prepare.rejects import rejected
from tfrec_vis.prepare.settings import PrepareSettings
from tfrec_vis.prepare.validate import Reject, identifier, text
from tfrec_vis.prepare.write import example

REJECTS, COUNTS, STATUS = "rejects", "counts", "status"
"""Outputs beside the main one; STATUS is item_id and whether the item is kept."""


class Item(NamedTuple):
    """One catalogue row; ``image`` is its name or bytes, later the JPEG to store."""

    item_id: str
    image: str | bytes
    title: str
    category: str
    features: tuple[str, ...]
    where: str


class ReadItem(beam.DoFn):
    """Raw catalogue rows -> (item_id, item as a plain tuple)."""

    def __init__(self, features: Sequence[str]) -> None:
        self.features = features

    def process(self, raw: Any) -> Iterator[Any]:
        values = raw.values
        try:
            if raw.problem:
                raise Reject(raw.problem)
            image = values.get("image")
            item = Item(
                identifier(values.get("item_id"), "missing_item_id"),
                image if isinstance(image, bytes) else text(image),
                text(values.get("title")),
                text(values.get("category")),
                tuple(text(values.get(name)) for name in self.features),
                raw.where,
            )
        except Reject as error:
            yield beam.pvalue.TaggedOutput(
                REJECTS, rejected("items", raw.where, error.reason, values)
            )
        else:
            yield item.item_id, tuple(item)


class SetKnownAside(beam.DoFn):
    """(item_id, item) -> those that are not in the table; the others count as merged."""

    def process(self, element: tuple[str, tuple], known: ItemTable) -> Iterator[Any]:
        if known.get(element[0]) is None:
            yield element
        else:
            yield beam.pvalue.TaggedOutput(COUNTS, (("items", "merged"), (1, None)))


class ChooseItem(beam.DoFn):
    """(item_id, its rows) -> the one kept; the choice depends on contents, not on file order."""

    def process(self, element: tuple[str, Iterable[tuple]]) -> Iterator[Any]:
        # Two passes over the rows, so that any number of them may share an id.
        rows = element[1]
        best = min(map(Item._make, rows), key=_contents_then_place)
        yield tuple(best)
        left_out = False
        for row in map(Item._make, rows):
            if not left_out and row == best:
                left_out = True
            elif _contents(row) == _contents(best):
                yield beam.pvalue.TaggedOutput(COUNTS, (("items", "merged"), (1, None)))
            else:
                yield beam.pvalue.TaggedOutput(REJECTS, _rejected_item(row, "duplicate_item_id"))


class ShrinkImages(beam.DoFn):
    """Lists of items -> single items with the JPEG to store, on all processors."""

    def __init__(self, settings: PrepareSettings, roots: Sequence[str]) -> None:
        self.settings = settings
        self.roots = roots

    def setup(self) -> None:
        self.threads = ThreadPoolExecutor(os.cpu_count())

    def teardown(self) -> None:
        self.threads.shutdown()

    def process(self, batch: list[tuple]) -> Iterator[Any]:
        items = [Item._make(row) for row in batch]
        for item, result in zip(items, self.threads.map(self._shrink, items), strict=True):
            yield beam.pvalue.TaggedOutput(STATUS, (item.item_id, isinstance(result, bytes)))
            if isinstance(result, bytes):
                yield beam.pvalue.TaggedOutput(COUNTS, (("items", "kept"), (1, None)))
                yield tuple(item._replace(image=result))
            else:
                reject = _rejected_item(item, result.reason, result.seen)
                yield beam.pvalue.TaggedOutput(REJECTS, reject)

    def _shrink(self, item: Item) -> bytes | Reject:
        """The JPEG, or why there is none."""
        settings = self.settings
        try:
            return shrink_image(
                read_image(item.image, self.roots),
                settings.image_size,
                settings.max_pixels,
                settings.jpeg_quality,
            )
        except Reject as error:
            return error


def item_example(
    row: tuple,
    index: ItemTable,
    dates: ItemTable,
    names: Sequence[str],
    shards: int,
) -> tuple[tuple[str, int], tuple[int, bytes]]:
    """The file (stem and shard) of an item, its index and its record.

    Args:
        row: an Item with its JPEG.
        index: item_index.
        dates: first time in the log, first click.
        names: of the item's features.
        shards: how many.
    """
    item = Item._make(row)
    (number,) = index.get(item.item_id) or (0,)
    first_seen, _ = dates.get(item.item_id) or (-1, -1)
    record = example(
        {
            "item_index": number,
            "item_id": item.item_id,
            "image": item.image,
            "title": item.title,
            "category": item.category,
            "first_seen": first_seen,
            **dict(zip(names, item.features, strict=True)),
        }
    )
    return ("items", shard_of(item.item_id, shards)), (number, record)


def item_vocabulary(row: tuple, names: Sequence[str]) -> list[tuple[str, str]]:
    """The vocabularies that an item adds to: its category and its features."""
    item = Item._make(row)
    words = [("category", item.category), *zip(names, item.features, strict=True)]
    return [(name, value) for name, value in words if value]


def _contents(item: Item) -> tuple:
    """Comparable content; rows with an image come first."""
    as_bytes = isinstance(item.image, bytes)
    image = item.image if isinstance(item.image, bytes) else item.image.encode()
    return not image, as_bytes, image, item.title, item.category, item.features


def _contents_then_place(item: Item) -> tuple:
    return _contents(item), item.where


def _rejected_item(item: Item, reason: str, seen: str = "") -> tuple:
    values = {"item_id": item.item_id, "image": item.image, "title": item.title}
    values |= {"seen": seen} if seen else {}
    return rejected("items", item.where, reason, values)
