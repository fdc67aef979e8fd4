"""Pictures encoded per step, and the speed of page reading: run by `make bench`."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import tensorflow as tf
import tf_keras as keras
import yaml

from tfrec_vis import sources
from tfrec_vis.data import pages, read_items
from tfrec_vis.prepare import PrepareSettings, prepare
from tfrec_vis.pretraining import Courier
from tfrec_vis.simulation import simulate

USERS, ITEMS, STORED_SIZE, BATCH, ROUNDS = 300, 400, 128, 64, 5


def rows() -> list[dict]:
    """Return what, target, measured and holds of every figure."""
    with tempfile.TemporaryDirectory() as folder:
        prepared = _prepare(Path(folder))
        return [
            _encoded_pictures(prepared),
            _reading(prepared, STORED_SIZE, antialias=False),
            _reading(prepared, 96, antialias=True),
            _reading(prepared, 96, antialias=False),
        ]


def _prepare(folder: Path) -> Path:
    simulate(folder / "shop", users=USERS, items=ITEMS, image_size=STORED_SIZE)
    recipe = yaml.safe_load((folder / "shop/recipe.yaml").read_text())
    source = sources.create(recipe["source"], str(folder / "shop"))
    prepare(source, folder / "prepared", PrepareSettings(image_size=STORED_SIZE))
    return folder / "prepared"


class _Count(keras.layers.Layer):
    """Counts the pictures that pass."""

    def build(self, input_shape: tf.TensorShape) -> None:
        self.count = self.add_weight("count", shape=[], dtype=tf.int64, trainable=False)

    def call(self, pictures: tf.Tensor) -> tf.Tensor:
        self.count.assign_add(tf.shape(pictures, tf.int64)[0])
        return pictures


def _encoded_pictures(prepared: Path) -> dict:
    counter = _Count()
    pictures = keras.Input([None, None, 3])
    x = keras.layers.Conv2D(8, 8, 8)(counter(pictures))
    encoder = keras.Model(pictures, keras.layers.GlobalAveragePooling2D()(x))
    model = Courier(encoder, embedding_dim=8)
    model.compile(optimizer="sgd")
    places = distinct = encoded = 0
    for batch in pages(prepared, batch_size=BATCH, image_size=32).take(5):
        counter.count.assign(0)
        model.train_step(batch)
        encoded += int(counter.count)
        items = tf.concat([batch["history_item_index"], batch["shown_item_index"]], 1).numpy()
        places += int((items > 0).sum())
        distinct += len(set(items.ravel()) - {0})
    return {
        "what": f"pictures encoded in 5 steps of {BATCH} pages ({places:,} shown or clicked)",
        "target": f"{distinct:,}, the distinct items of each batch",
        "measured": f"{encoded:,}",
        "holds": encoded == distinct,
    }


def _reading(prepared: Path, size: int, antialias: bool) -> dict:
    """Pictures a second of page batches, and of decoding and resizing the same bytes alone.

    Pages antialias what they shrink. Where the bare resize does not, it is other work: that
    figure is reported without a target.
    """
    dataset = pages(prepared, batch_size=BATCH, image_size=size)
    images = read_items(prepared).image
    order = [images[i] for batch in dataset for i in batch["item_index"].numpy()]
    bare = tf.data.Dataset.from_tensor_slices(tf.constant(order)).map(
        lambda one: tf.image.resize(
            tf.io.decode_jpeg(one, channels=3), [size, size], antialias=antialias
        ),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    bare = bare.batch(256).prefetch(2)
    reading, decoding = [], []
    for _ in range(ROUNDS):
        # Each epoch is shuffled anew, so its number of pictures varies a little.
        reading.append(_rate(dataset, lambda batch: batch["image"]))
        decoding.append(_rate(bare, lambda batch: batch))
    ratio = statistics.median(reading) / statistics.median(decoding)
    kind = "antialiased resize" if antialias else "plain resize"
    same_work = antialias or size == STORED_SIZE
    return {
        "what": f"pages in batches of {BATCH}, {STORED_SIZE} to {size} px, against bare "
        f"decode_jpeg + {kind} of the same bytes (medians of {ROUNDS}, alternating)",
        "target": ">= 0.9 of its pictures/s" if same_work else "",
        "measured": f"{ratio:.2f} ({statistics.median(reading):,.0f} against "
        f"{statistics.median(decoding):,.0f} pictures/s)",
        "holds": ratio >= 0.9 if same_work else None,
    }


def _rate(dataset: Iterable, pictures: Callable[[object], tf.Tensor]) -> float:
    started, count = time.perf_counter(), 0
    iterator = iter(dataset)
    for batch in iterator:
        count += len(pictures(batch))
    # The iterator lives on until here: what tearing it down takes is not counted, for neither.
    return count / (time.perf_counter() - started)
