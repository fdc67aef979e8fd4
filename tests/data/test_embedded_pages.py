"""Pages that carry their pictures are read as those that do not, a window at a time."""

from __future__ import annotations

import shutil
import sys
import threading

import numpy as np
import pytest
import tensorflow as tf

from tfrec_vis.data import (
    PreparedDataError,
    SkippedShardWarning,
    pages,
    read_items,
    read_manifest,
    read_pages,
)
from tfrec_vis.data.batch_plan import plan_in_windows
from tfrec_vis.data.embedded_pictures import EmbeddedPictures
from tfrec_vis.data.tfrecord import record_starts

BATCH = 24
MODULE = sys.modules["tfrec_vis.data.pages"]
"""``tfrec_vis.data.pages`` itself is the function."""


def shards(prepared):
    return sorted(prepared.glob("pages-pretrain-*.tfrecord"))


def batches(prepared, **arguments):
    return list(pages(prepared, batch_size=BATCH, **arguments).as_numpy_iterator())


def same(one, two):
    return one.keys() == two.keys() and all(np.array_equal(one[n], two[n]) for n in one)


def test_in_order_they_are_the_same_batches(prepared_shop, embedded_shop):
    plain = batches(prepared_shop, shuffle=False, flip=True)
    carried = batches(embedded_shop, shuffle=False, flip=True)
    assert len(plain) == len(carried) > 5
    assert all(same(one, two) for one, two in zip(plain, carried, strict=True))


@pytest.fixture
def small_windows(monkeypatch):
    monkeypatch.setattr(MODULE, "WINDOW_BLOCKS", 4)
    monkeypatch.setattr(MODULE, "WINDOW_BATCHES", 2)


def test_shuffled_batches_are_the_planned_pages(embedded_shop, small_windows):
    table, jpeg = read_pages(embedded_shop), read_items(embedded_shop).image
    size = read_manifest(embedded_shop)["settings"]["block_pages"]
    block = EmbeddedPictures(shards(embedded_shop), size, 0).block
    epochs = [batches(embedded_shop, first_epoch=epoch) for epoch in range(2)]
    for epoch, found in enumerate(epochs):
        plan = plan_in_windows(table.user_id, block, BATCH, 4 * size, 0, epoch)
        for batch, rows in zip(found, plan, strict=True):
            np.testing.assert_array_equal(batch["page_id"], table.page_id[rows])
            np.testing.assert_array_equal(batch["shown_item_index"], table.shown[rows])
            for item, image in zip(batch["item_index"], batch["image"], strict=True):
                np.testing.assert_array_equal(image, tf.io.decode_jpeg(jpeg[item]))
    seen = [np.concatenate([batch["page_id"] for batch in found]) for found in epochs]
    assert not np.array_equal(*seen)
    for pages_seen in seen:
        np.testing.assert_array_equal(np.sort(pages_seen), np.sort(table.page_id))


def test_taken_up_at_a_batch(embedded_shop, small_windows):
    everything = batches(embedded_shop, epochs=2, flip=True)
    epoch = len(everything) // 2
    rest = batches(embedded_shop, first_epoch=1, first_batch=3, flip=True)
    assert len(rest) == epoch - 3
    assert all(same(a, b) for a, b in zip(rest, everything[epoch + 3 :], strict=True))


def test_iterator_goes_on_from_a_checkpoint(embedded_shop, small_windows, tmp_path):
    dataset = pages(embedded_shop, batch_size=BATCH, epochs=1)
    expected = list(dataset.as_numpy_iterator())
    iterator = iter(dataset)
    for _ in range(4):
        next(iterator)
    path = tf.train.Checkpoint(iterator=iterator).save(str(tmp_path / "state"))
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 20_000
    resumed = iter(pages(embedded_shop, batch_size=BATCH, epochs=1))
    tf.train.Checkpoint(iterator=resumed).restore(path).assert_consumed()
    for batch, wanted in zip(resumed, expected[4:], strict=True):
        assert same({name: value.numpy() for name, value in batch.items()}, wanted)


def test_workers_share_every_batch(embedded_shop):
    contexts = [tf.distribute.InputContext(2, worker, 2) for worker in range(2)]
    halves = [batches(embedded_shop, input_context=context) for context in contexts]
    for whole, *parts in zip(batches(embedded_shop), *halves, strict=True):
        together = np.concatenate([part["page_id"] for part in parts])
        np.testing.assert_array_equal(np.sort(together), np.sort(whole["page_id"]))


class Watched(EmbeddedPictures):
    """Notes the most pages and blocks whose pictures were ever in memory, and what was read."""

    most = 0
    reads: list[int]

    def __call__(self, rows, items):
        found = super().__call__(rows, items)
        pages = sum(len(self._blocks[number][2]) - 1 for number in self._held)
        Watched.most = max(Watched.most, pages)
        return found

    def _read(self, number):
        Watched.reads.append(number)
        return super()._read(number)


def test_a_window_of_blocks_is_in_memory(embedded_shop, small_windows, monkeypatch):
    monkeypatch.setattr(MODULE, "EmbeddedPictures", Watched)
    Watched.reads, Watched.most = [], 0
    size = read_manifest(embedded_shop)["settings"]["block_pages"]
    count = sum(len(batch["page_id"]) for batch in batches(embedded_shop))
    assert 2 * size < Watched.most <= 6 * size < count / 2
    # Each block once, and those in which a window ends and the next begins.
    blocks = len(set(Watched.reads))
    windows = -(-count // (4 * size // BATCH * BATCH))
    assert blocks <= len(Watched.reads) < blocks + windows


def test_many_threads_share_the_pictures(embedded_shop):
    table, jpeg = read_pages(embedded_shop), read_items(embedded_shop).image
    pictures = EmbeddedPictures(shards(embedded_shop), 16, 32)
    problems = []

    def look(seed):
        random = np.random.default_rng(seed)
        for _ in range(20):
            rows = random.permutation(len(table))[:8]
            items = np.unique(table.shown[rows])[1:]
            if (pictures(rows, items) != jpeg[items]).any():
                problems.append(seed)

    threads = [threading.Thread(target=look, args=[seed]) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems


@pytest.fixture
def copy(embedded_shop, tmp_path):
    return shutil.copytree(embedded_shop, tmp_path / "prepared")


def damage(path, record):
    starts = record_starts(path)
    data = bytearray(path.read_bytes())
    data[(starts[record] + starts[record + 1]) // 2] ^= 0xFF
    path.write_bytes(data)


def test_damage_is_named_or_left_out(copy):
    whole, second = len(read_pages(copy)), shards(copy)[1]
    lost = len(record_starts(second)) - 1
    damage(second, 20)
    with pytest.raises(PreparedDataError, match=f"{second.name} is damaged at record 20 "):
        pages(copy, batch_size=BATCH)
    with pytest.warns(SkippedShardWarning, match=f"{lost} of {whole} records"):
        found = batches(copy, on_damage="skip")
    assert sum(len(batch["page_id"]) for batch in found) == whole - lost


def test_damage_that_comes_later_is_named(copy):
    dataset = pages(copy, batch_size=BATCH, shuffle=False)
    first = shards(copy)[0]
    damage(first, 3)
    with pytest.raises(tf.errors.OpError, match=f"{first.name} is damaged at record 3 "):
        next(iter(dataset))


@pytest.mark.parametrize("name, words", [("image", "damaged at record 0 "),
                                         ("both", "no picture of item_index")])  # fmt: skip
def test_a_picture_that_is_not_there(copy, name, words):
    path = shards(copy)[0]
    records = list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
    page = tf.train.Example.FromString(records[0])
    del page.features.feature["image"].bytes_list.value[:]
    if name == "both":
        del page.features.feature["image_item_index"].int64_list.value[:]
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in [page.SerializeToString(), *records[1:]]:
            writer.write(record)
    with pytest.raises(tf.errors.OpError, match=words) as error:
        batches(copy, shuffle=False)
    assert path.name in str(error.value)
