"""Page records that carry their pictures: ``prepare.image_join: embedded``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import apache_beam as beam
import tensorflow as tf
from apache_beam.pvalue import AsSingleton, PCollection

from tfrec_vis.prepare.item_table import ItemTable
from tfrec_vis.prepare.items import Item
from tfrec_vis.prepare.job import Job
from tfrec_vis.prepare.output import Written, write_shards
from tfrec_vis.prepare.sorting import sort_bounded
from tfrec_vis.prepare.write import shard_name, write_records

PAGES = "pages-pretrain"
NEEDED = "needed"
"""The output beside the records: which block needs which picture."""

Piece: TypeAlias = tuple[int, int, int, bytes]
"""Block, _PICTURE or _RECORD, item_index or place in the shard, JPEG or record; they sort so."""
_PICTURE, _RECORD = 0, 1


def write_user_records(
    records: PCollection, items: PCollection | None, index: PCollection, job: Job
) -> PCollection[Written]:
    """Writes pages and impressions, pages with their pictures where the settings say so.

    A shard of pages, in its order, is cut into blocks of ``block_pages`` records. A picture is
    joined to the blocks that need it by a shuffle on ``item_index``, so nobody holds more than
    one picture there, and one block's pictures where a shard is written. A picture stands in the
    first record of its block that shows it or has it in its history.

    Args:
        records: ((record type, shard), (order, record)).
        items: every kept Item with its JPEG; not looked at for "lookup".
        index: one ItemTable of item_index.
        job: of the preparation.

    Returns:
        Names of the files in ``out`` and their checksums.
    """
    out, settings = job.out, job.settings
    if settings.image_join == "lookup":
        return write_shards(records, out, settings.shards, "users")
    pages = records | "pages" >> beam.Filter(_is_page)
    others = records | "other records" >> beam.Filter(lambda element: not _is_page(element))
    cut = (
        pages
        | "pages by shard" >> beam.GroupByKey()
        | "cut into blocks"
        >> beam.ParDo(CutIntoBlocks(settings.block_pages)).with_outputs(NEEDED, main="main")
    )
    pictures = items | "pictures" >> beam.Map(_picture, AsSingleton(index))
    placed = (
        (cut[NEEDED], pictures)
        | "pictures and needs" >> beam.Flatten()
        | "by item" >> beam.GroupByKey()
        | "place pictures" >> beam.FlatMap(place_picture)
    )
    written = (
        (cut.main, placed)
        | "records and pictures" >> beam.Flatten()
        | "blocks by shard" >> beam.GroupByKey()
        | "write blocks" >> beam.Map(_write_blocks, out, settings.shards)
    )
    return (
        written,
        write_shards(others, out, settings.shards, "users"),
    ) | "pages and others" >> beam.Flatten()


class CutIntoBlocks(beam.DoFn):
    """((record type, shard), (order, record)s) -> (shard, Piece) of each record.

    The output NEEDED has (item_index, (shard, block)), once for each picture of a block.

    Args:
        size: records in a block.
    """

    def __init__(self, size: int) -> None:
        self.size = size

    def process(
        self, element: tuple[tuple[str, int], Iterable[tuple[Any, bytes]]]
    ) -> Iterator[Any]:
        (_, shard), records = element
        in_order = sort_bounded(records, lambda pair: len(pair[1]))
        known: set[int] = set()
        for place, (_, record) in enumerate(in_order):
            block, within = divmod(place, self.size)
            if within == 0:
                known = set()
            for item in _items_of(tf.train.Example.FromString(record)):
                if item not in known:
                    known.add(item)
                    yield beam.pvalue.TaggedOutput(NEEDED, (item, (shard, block)))
            yield shard, (block, _RECORD, place, record)


def place_picture(element: tuple[int, Iterable[Any]]) -> Iterator[tuple[int, Piece]]:
    """(item_index, its JPEG and the (shard, block)s that need it) -> (shard, Piece)s."""
    item, found = element
    # Two passes, so that any number of blocks may need one picture.
    picture = next((value for value in found if isinstance(value, bytes)), None)
    for value in found:
        if isinstance(value, bytes):
            continue
        if picture is None:
            raise RuntimeError(f"a page names item_index {item}, which has no picture")
        shard, block = value
        yield shard, (block, _PICTURE, item, picture)


def with_pictures(pieces: Iterable[Piece]) -> Iterator[bytes]:
    """The records of a shard, each picture in the first record of its block that names it.

    Args:
        pieces: in order; the pictures of a block come before its records.
    """
    waiting: dict[int, bytes] = {}
    for _, kind, number, data in pieces:
        if kind == _PICTURE:
            waiting[number] = data
            continue
        page = tf.train.Example.FromString(data)
        first = [item for item in _items_of(page) if item in waiting]
        features = page.features.feature
        features["image_item_index"].int64_list.value.extend(first)
        features["image"].bytes_list.value.extend(waiting.pop(item) for item in first)
        yield page.SerializeToString(deterministic=True)


def _items_of(page: tf.train.Example) -> list[int]:
    """The distinct items of a page, in the order of history and shown."""
    features = page.features.feature
    columns = (features[name].int64_list.value for name in ("history", "shown"))
    return list(dict.fromkeys(item for column in columns for item in column))


def _is_page(element: tuple[tuple[str, int], Any]) -> bool:
    return element[0][0] == PAGES


def _picture(row: tuple, index: ItemTable) -> tuple[int, Any]:
    item = Item._make(row)
    (number,) = index.get(item.item_id) or (0,)
    return number, item.image


def _write_blocks(element: tuple[int, Iterable[Piece]], out: str, shards: int) -> Written:
    shard, pieces = element
    name = shard_name(PAGES, "tfrecord", shard, shards)
    in_order = sort_bounded(pieces, lambda piece: len(piece[-1]))
    return name, write_records(tf.io.gfile.join(out, name), with_pictures(in_order))
