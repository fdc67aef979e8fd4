"""The pictures that pages carry (``prepare.image_join: embedded``), read block by block."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from pathlib import Path
from threading import Lock

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from tfrec_vis.data.manifest import PreparedDataError
from tfrec_vis.data.tfrecord import DamagedRecord, read_records, record_starts


class EmbeddedPictures:
    """Pictures of page records, of which those of some blocks are in memory.

    Args:
        paths: the shards, in the order of the pages.
        block_pages: records in a block; the last one of a shard may have fewer.
        pages_held: the least recently used blocks are let go beyond so many pages.

    Attributes:
        block: int64 [pages], the number of each page's block, in the order of the shards.
    """

    def __init__(self, paths: Collection[Path], block_pages: int, pages_held: int) -> None:
        self._blocks: list[tuple[Path, int, np.ndarray]] = []
        for path in paths:
            starts = record_starts(path)
            for first in range(0, len(starts) - 1, block_pages):
                # Of a block: its first record in the shard, where each begins, where it ends.
                self._blocks.append((path, first, starts[first : first + block_pages + 1]))
        lengths = [len(starts) - 1 for _, _, starts in self._blocks]
        self.block = np.repeat(np.arange(len(lengths)), np.array(lengths, np.int64))
        self._pages_held = pages_held
        self._held: OrderedDict[int, dict[int, bytes]] = OrderedDict()
        self._lock = Lock()

    def __call__(self, rows: np.ndarray, items: np.ndarray) -> np.ndarray:
        """The pictures of items that are named by pages.

        Args:
            rows: int [n], numbers of the pages.
            items: int [u], item_index.

        Returns:
            bytes object [u], JPEG.

        Raises:
            PreparedDataError: a block is damaged, or lacks a picture.
        """
        with self._lock:  # several iterators may share it
            blocks = [self._block(number) for number in np.unique(self.block[rows]).tolist()]
        result = np.empty(len(items), object)
        for place, item in enumerate(items.tolist()):
            holder = next((block for block in blocks if item in block), None)
            if holder is None:
                names = sorted({self._blocks[n][0].name for n in np.unique(self.block[rows])})
                raise PreparedDataError(
                    f"no picture of item_index {item} in its page's block, in one of "
                    f"{', '.join(names)}: prepare it again"
                )
            result[place] = holder[item]
        return result

    def _block(self, number: int) -> dict[int, bytes]:
        if number not in self._held:
            self._held[number] = self._read(number)
        self._held.move_to_end(number)
        held = sum(len(self._blocks[n][2]) - 1 for n in self._held)
        while held > self._pages_held and len(self._held) > 1:
            oldest, _ = self._held.popitem(last=False)
            held -= len(self._blocks[oldest][2]) - 1
        return self._held[number]

    def _read(self, number: int) -> dict[int, bytes]:
        path, first, starts = self._blocks[number]
        pictures: dict[int, bytes] = {}
        record = first
        try:
            for data in read_records(path, starts):
                features = tf.train.Example.FromString(data).features.feature
                items = features["image_item_index"].int64_list.value
                images = features["image"].bytes_list.value
                pictures.update(zip(items, images, strict=True))
                record += 1
        except DamagedRecord as error:
            problem = str(error)
        except (DecodeError, ValueError):
            problem = "no record of a page with its pictures"
        else:
            return pictures
        raise PreparedDataError(
            f"{path} is damaged at record {record} (counted from 0): {problem}: "
            "copy it again from where it is whole, or prepare it again"
        )
