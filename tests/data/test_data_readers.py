from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tfrec_vis.data import (
    PreparedDataError,
    impressions,
    items,
    read_impressions,
    read_items,
    read_manifest,
    read_pages,
)
from tfrec_vis.data.items import read_pictures, stream_pictures

SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def log(simulated_shop):
    return pd.read_csv(simulated_shop / "log.csv", dtype=str).astype({"timestamp": int})


def test_the_catalogue(simulated_shop, prepared_shop, log):
    catalogue = read_items(prepared_shop)
    table = pd.read_csv(simulated_shop / "items.csv", dtype=str).set_index("item_id")
    assert len(catalogue) == len(table) + 1
    assert (catalogue.item_id[0], catalogue.image[0], catalogue.first_seen[0]) == ("", b"", -1)
    assert sorted(catalogue.item_id[1:]) == sorted(table.index)
    first_seen = log.groupby("item_id")["timestamp"].min()
    for row in range(1, len(catalogue)):
        item = catalogue.item_id[row]
        assert catalogue.title[row] == table.title[item]
        assert catalogue.category[row] == table.category[item]
        assert catalogue.first_seen[row] == first_seen.get(item, -1)
        assert tf.io.decode_jpeg(catalogue.image[row]).shape == (32, 32, 3)


def test_the_catalogue_without_pictures_and_some_pictures(prepared_shop):
    whole, without = read_items(prepared_shop), read_items(prepared_shop, pictures=False)
    assert list(without.image) == [b""] * len(whole)
    np.testing.assert_array_equal(without.item_id, whole.item_id)
    np.testing.assert_array_equal(without.first_seen, whole.first_seen)
    wanted = np.array([33, 2, 60, 1])
    assert read_pictures(prepared_shop, wanted) == list(whole.image[wanted])
    streamed = [pair for part in stream_pictures(prepared_shop) for pair in zip(*part, strict=True)]
    assert sorted(streamed) == list(enumerate(whole.image))[1:]


def test_streamed_pictures_are_those_of_the_catalogue(prepared_shop, tmp_path):
    copy = shutil.copytree(prepared_shop, tmp_path / "prepared")
    first, second = sorted(copy.glob("items-*.tfrecord"))[:2]
    whole = first.read_bytes()
    first.unlink()
    with pytest.raises(PreparedDataError, match=r"\d+ of 60 items are missing"):
        list(stream_pictures(copy))
    first.write_bytes(second.read_bytes())
    with pytest.raises(PreparedDataError, match=f"{second.name} is of other data"):
        list(stream_pictures(copy))
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 1
    first.write_bytes(damaged)
    with pytest.raises(PreparedDataError, match=f"{first.name} is damaged at record"):
        list(stream_pictures(copy))


def test_pictures_of_the_catalogue(prepared_shop):
    batches = list(items(prepared_shop, image_size=24, batch_size=25).as_numpy_iterator())
    assert [len(b["item_index"]) for b in batches] == [25, 25, 10]
    index = np.concatenate([b["item_index"] for b in batches])
    np.testing.assert_array_equal(index, np.arange(1, 61))
    assert all(b["image"].shape[1:] == (24, 24, 3) for b in batches)


def test_impressions_are_the_log(prepared_shop, log):
    item_id = read_items(prepared_shop).item_id
    cuts = read_manifest(prepared_shop)["cuts"]
    bounds = [-1, cuts[1], cuts[2], 2**62]
    log = log.set_index(["page_id", "item_id"])
    seen = 0
    for split, low, high in zip(SPLITS, bounds, bounds[1:], strict=False):
        rows = read_impressions(prepared_shop, split)
        seen += len(rows)
        assert (np.diff(rows.timestamp) >= 0).all()
        assert low <= rows.timestamp.min() and rows.timestamp.max() < high
        assert rows.history.shape == (len(rows), 50)
        np.testing.assert_array_equal(rows.in_pretraining, rows.timestamp < cuts[0])
        entries = log.loc[list(zip(rows.page_id, item_id[rows.item_index], strict=True))]
        np.testing.assert_array_equal(entries["user_id"], rows.user_id)
        np.testing.assert_array_equal(entries["timestamp"], rows.timestamp)
        np.testing.assert_array_equal(entries["clicked"].astype(int), rows.clicked)
        np.testing.assert_array_equal(entries["position"], rows.context["position"])
    assert seen == len(log)


def test_take_and_shorter_histories(prepared_shop):
    rows = read_impressions(prepared_shop, "test", history=3)
    np.testing.assert_array_equal(
        rows.history, read_impressions(prepared_shop, "test").history[:, :3]
    )
    chosen = rows.take(rows.clicked == 1)
    assert len(chosen) == rows.clicked.sum() and (chosen.clicked == 1).all()
    assert set(chosen.context["position"]) <= set("01234")
    np.testing.assert_array_equal(rows.take(np.array([2, 0])).timestamp, rows.timestamp[[2, 0]])


def test_batches_of_impressions(prepared_shop):
    rows = read_impressions(prepared_shop, "validation", history=4)
    in_order = impressions(prepared_shop, "validation", 100, history=4, shuffle=False)
    features, clicked = zip(*in_order.as_numpy_iterator(), strict=True)
    np.testing.assert_array_equal(np.concatenate(clicked), rows.clicked)
    for name in ("item_index", "timestamp", "history", "in_pretraining", "item_seen_in_training"):
        read = np.concatenate([f[name] for f in features])
        np.testing.assert_array_equal(read, getattr(rows, name))
        assert read.dtype == getattr(rows, name).dtype
    for name, column in (("user_id", rows.user_id), ("position", rows.context["position"])):
        read = np.concatenate([f[name] for f in features])
        np.testing.assert_array_equal(read.astype(str), column.astype(str))
    assert "clicked" not in features[0] and "context" not in features[0]

    shuffled = impressions(prepared_shop, "validation", 100, seed=1)
    orders = [
        np.concatenate([f["timestamp"] for f, _ in shuffled.as_numpy_iterator()]) for _ in range(2)
    ]
    assert not np.array_equal(orders[0], orders[1])
    np.testing.assert_array_equal(np.sort(orders[0]), np.sort(orders[1]))


def test_no_manifest(prepared_shop, tmp_path):
    for read in (read_manifest, read_items, read_pages):
        with pytest.raises(PreparedDataError, match="is not prepared data.*run `tfrec-vis prepare"):
            read(tmp_path)
    (tmp_path / "manifest.json").write_text('{"settings": ')
    with pytest.raises(PreparedDataError, match="is not prepared data"):
        read_manifest(tmp_path)
