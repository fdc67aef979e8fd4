"""The catalogue: in memory, and as a dataset of pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfrec_vis.data.batch_plan import plan_rows
from tfrec_vis.data.batches import numbered_batches
from tfrec_vis.data.images import decode_letterboxed_batch
from tfrec_vis.data.manifest import PreparedDataError, read_manifest
from tfrec_vis.data.records import item_record
from tfrec_vis.data.shards import OnDamage, checked_batches, parsed_batches, read_columns


@dataclass(frozen=True)
class Items:
    """The catalogue by ``item_index``; row 0 is "no item" (empty texts, no picture).

    Attributes:
        item_id: str object [items + 1].
        image: bytes object [items + 1], JPEG.
        title, category: str object [items + 1].
        features: declared features by name, str object [items + 1].
        first_seen: int64 [items + 1], seconds; -1 where the log never shows the item.
        skipped: names of damaged shards that were left out; their items are empty rows.
    """

    item_id: np.ndarray
    image: np.ndarray
    title: np.ndarray
    category: np.ndarray
    features: dict[str, np.ndarray]
    first_seen: np.ndarray
    skipped: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.item_id)


def read_items(prepared: str | Path, on_damage: OnDamage = "raise", pictures: bool = True) -> Items:
    """Reads the catalogue of a prepared folder.

    Args:
        prepared: folder that ``prepare`` wrote.
        on_damage: ``"raise"``, or ``"skip"``: damaged shards are left out with a warning.
        pictures: False: without them, ``image`` is empty everywhere.

    Raises:
        PreparedDataError: not prepared data, or damaged: names the shard, the record, the mend.
    """
    manifest = read_manifest(prepared)
    names, count = manifest["item_features"], manifest["item_count"]
    spec = item_record(names)
    if not pictures:
        del spec["image"]
    columns = read_columns(prepared, "items", spec, count, on_damage)
    index = columns["item_index"]
    whole = len(index) == count or columns.skipped
    if not whole or len(np.unique(index)) < len(index) or index.max(initial=0) > count:
        raise PreparedDataError(
            f"{prepared}: item_index does not run from 1 to {count}; prepare it again"
        )

    def by_index(values: np.ndarray, none: object) -> np.ndarray:
        table = np.full(count + 1, none, dtype=values.dtype)
        table[index] = values
        return table

    def text(name: str) -> np.ndarray:
        decoded = np.array([v.decode() for v in columns[name]], dtype=object)
        return by_index(decoded, "")

    return Items(
        item_id=text("item_id"),
        image=by_index(columns["image"].astype(object), b"")
        if pictures
        else np.full(count + 1, b"", object),
        title=text("title"),
        category=text("category"),
        features={name: text(name) for name in names},
        first_seen=by_index(columns["first_seen"], -1),
        skipped=columns.skipped,
    )


def read_pictures(prepared: str | Path, item_index: np.ndarray) -> list[bytes]:
    """The JPEGs of some items; the others' are read past, not held.

    Args:
        prepared: folder that ``prepare`` wrote, whose items were read without damage.
        item_index: int [n], each item once.

    Returns:
        [n], in the order of ``item_index``.
    """
    wanted = np.zeros(read_manifest(prepared)["item_count"] + 1, bool)
    wanted[item_index] = True
    spec = {name: item_record()[name] for name in ("item_index", "image")}
    found: dict[int, bytes] = {}
    for path in sorted(Path(prepared).glob("items-*.tfrecord")):
        for batch in parsed_batches(str(path), spec):
            chosen = wanted[batch["item_index"]]
            found.update(zip(batch["item_index"][chosen], batch["image"][chosen], strict=True))
    return [found[item] for item in item_index]


def stream_pictures(prepared: str | Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The pictures of all items, as they stand in the files, a part of them in memory.

    Args:
        prepared: folder that ``prepare`` wrote.

    Yields:
        (item_index int64 [n], JPEGs bytes object [n]).

    Raises:
        PreparedDataError: not prepared data, or damaged.
    """
    count = read_manifest(prepared)["item_count"]
    seen = np.zeros(count + 1, bool)
    spec = {name: item_record()[name] for name in ("item_index", "image")}
    for path in sorted(Path(prepared).glob("items-*.tfrecord")):
        for batch in checked_batches(path, spec):
            index = batch["item_index"]
            if index.max(initial=0) > count or seen[index].any():
                raise PreparedDataError(f"{path} is of other data; prepare {prepared} again")
            seen[index] = True
            yield index, batch["image"]
    if not seen[1:].all():
        raise PreparedDataError(
            f"{prepared}: {count - seen.sum()} of {count} items are missing in "
            "items-*.tfrecord; prepare it again"
        )


def items(
    prepared: str | Path,
    image_size: int,
    batch_size: int = 128,
    shuffle: bool = False,
    seed: int = 0,
    first_epoch: int = 0,
    first_batch: int = 0,
    epochs: int | None = None,
    input_context: tf.distribute.InputContext | None = None,
    on_damage: OnDamage = "raise",
) -> tf.data.Dataset:
    """The pictures of the catalogue.

    In order of ``item_index`` unless ``shuffle``: what is computed from them belongs to items.

    Args:
        prepared: folder that ``prepare`` wrote.
        image_size: side of the letterboxed pictures, pixels.
        batch_size: items a batch; over workers, of all of them together.
        shuffle: shuffle all items, anew in every epoch.
        seed: of the shuffle.
        first_epoch, first_batch, epochs, input_context, on_damage: as for ``pages``.

    Returns:
        Batches {item_index int64 [n], image uint8 [n, image_size, image_size, 3]}.

    Raises:
        PreparedDataError: not prepared data, or damaged.
    """
    catalogue = read_items(prepared, on_damage)
    index = np.flatnonzero(catalogue.item_id != "")
    images = tf.constant(list(catalogue.image), tf.string)
    dataset = numbered_batches(
        plan_rows(index, batch_size, seed if shuffle else None),
        -(-len(index) // batch_size),
        first_epoch,
        first_batch,
        epochs,
        input_context,
    )

    def pictures(rows: tf.Tensor, number: tf.Tensor) -> dict[str, tf.Tensor]:
        decoded = decode_letterboxed_batch(tf.gather(images, rows), image_size, jpeg=True)
        return {"item_index": tf.cast(rows, tf.int64), "image": decoded}

    return dataset.map(pictures, num_parallel_calls=2, deterministic=True).prefetch(2)
