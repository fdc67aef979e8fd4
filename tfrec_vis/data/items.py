"""The catalogue: in memory, and as a dataset of pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfrec_vis.data.images import decode_letterboxed
from tfrec_vis.data.manifest import PreparedDataError, read_columns, read_manifest
from tfrec_vis.data.records import item_record


@dataclass(frozen=True)
class Items:
    """The catalogue by ``item_index``; row 0 is "no item" (empty texts, no picture).

    Attributes:
        item_id: str object [items + 1].
        image: bytes object [items + 1], JPEG.
        title, category: str object [items + 1].
        features: declared features by name, str object [items + 1].
        first_seen: int64 [items + 1], seconds; -1 where the log never shows the item.
    """

    item_id: np.ndarray
    image: np.ndarray
    title: np.ndarray
    category: np.ndarray
    features: dict[str, np.ndarray]
    first_seen: np.ndarray

    def __len__(self) -> int:
        return len(self.item_id)


def read_items(prepared: str | Path) -> Items:
    """Reads the catalogue of a prepared folder.

    Raises:
        PreparedDataError: not prepared data, or damaged.
    """
    names = read_manifest(prepared)["item_features"]
    columns = read_columns(prepared, "items-*.tfrecord", item_record(names))
    index = columns["item_index"]
    if not np.array_equal(np.sort(index), np.arange(1, len(index) + 1)):
        raise PreparedDataError(f"{prepared}: a shard of items is missing; prepare it again")

    def by_index(values: np.ndarray, none: object) -> np.ndarray:
        table = np.full(len(index) + 1, none, dtype=values.dtype)
        table[index] = values
        return table

    def text(name: str) -> np.ndarray:
        decoded = np.array([v.decode() for v in columns[name]], dtype=object)
        return by_index(decoded, "")

    return Items(
        item_id=text("item_id"),
        image=by_index(columns["image"].astype(object), b""),
        title=text("title"),
        category=text("category"),
        features={name: text(name) for name in names},
        first_seen=by_index(columns["first_seen"], -1),
    )


def items(prepared: str | Path, image_size: int, batch_size: int = 128) -> tf.data.Dataset:
    """All items in order of ``item_index``, as pictures.

    Args:
        prepared: folder that ``prepare`` wrote.
        image_size: side of the letterboxed pictures, pixels.
        batch_size: items a batch.

    Returns:
        Batches {item_index int64 [n], image uint8 [n, image_size, image_size, 3]}.
    """
    catalogue = read_items(prepared)
    index = np.arange(1, len(catalogue), dtype=np.int64)
    images = tf.data.Dataset.from_tensor_slices(tf.constant(list(catalogue.image[1:]), tf.string))
    images = images.map(
        lambda one: decode_letterboxed(one, image_size), num_parallel_calls=tf.data.AUTOTUNE
    )
    rows = tf.data.Dataset.zip(
        {"item_index": tf.data.Dataset.from_tensor_slices(index), "image": images}
    )
    return rows.batch(batch_size).prefetch(2)
