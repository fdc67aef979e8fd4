"""Prepared data that are damaged: named, or left out and counted."""

from __future__ import annotations

import json
import re
import shutil
import struct

import numpy as np
import pytest
import tensorflow as tf

from tfrec_vis.data import (
    PreparedDataError,
    SkippedShardWarning,
    impressions,
    items,
    pages,
    read_impressions,
    read_items,
    read_manifest,
    read_pages,
)

READERS = {
    "items": read_items,
    "pages-pretrain": read_pages,
    "impressions-train": lambda prepared, **how: read_impressions(prepared, "train", **how),
}
stems = pytest.mark.parametrize("stem", READERS)


@pytest.fixture
def copy(prepared_shop, tmp_path):
    return shutil.copytree(prepared_shop, tmp_path / "prepared")


def largest(folder, stem):
    return max(folder.glob(f"{stem}-*.tfrecord"), key=lambda path: path.stat().st_size)


def record_starts(data):
    """Offsets of the records of a TFRecord file, and its end: length, its CRC, data, their CRC."""
    starts = [0]
    while starts[-1] < len(data):
        (length,) = struct.unpack_from("<Q", data, starts[-1])
        starts.append(starts[-1] + 16 + length)
    return starts


def changed(shard, number, change):
    """Writes the shard anew with one record changed."""
    records = list(tf.data.TFRecordDataset(str(shard)).as_numpy_iterator())
    example = tf.train.Example.FromString(records[number])
    change(example.features.feature)
    records[number] = example.SerializeToString()
    with tf.io.TFRecordWriter(str(shard)) as writer:
        for record in records:
            writer.write(record)


@stems
def test_missing_shards(copy, stem):
    shards = sorted(copy.glob(f"{stem}-*.tfrecord"))
    assert len(shards) == 2
    shards[0].unlink()
    with pytest.raises(PreparedDataError, match=f"{stem}.* 1 of 2 shards.*prepare it again"):
        READERS[stem](copy)
    shards[1].unlink()
    with pytest.raises(PreparedDataError, match=f"{stem}.* 0 of 2 shards.*prepare it again"):
        READERS[stem](copy)


@stems
@pytest.mark.parametrize("damage", ["cut short", "changed"])
def test_damaged_record_is_named(copy, stem, damage):
    shard = largest(copy, stem)
    data = bytearray(shard.read_bytes())
    starts = record_starts(data)
    number = len(starts) // 2
    inside = (starts[number] + starts[number + 1]) // 2
    if damage == "cut short":
        del data[inside:]
    else:
        data[inside] ^= 0xFF
    shard.write_bytes(data)
    message = rf"{shard.name} is damaged at record {number} .*: .*prepare it again"
    with pytest.raises(PreparedDataError, match=message):
        READERS[stem](copy)


@stems
def test_a_file_cut_between_two_records(copy, stem):
    shard = largest(copy, stem)
    data = shard.read_bytes()
    shard.write_bytes(data[: record_starts(data)[-2]])
    with pytest.raises(PreparedDataError, match=rf"{shard.name} is damaged: its checksum"):
        READERS[stem](copy)
    lost = len(record_starts(data)) - 1
    with pytest.warns(
        SkippedShardWarning, match=rf"1 of 2 shards and {lost} of \d+ .*{shard.name}"
    ):
        assert READERS[stem](copy, on_damage="skip").skipped == (shard.name,)


def test_a_manifest_of_other_data(copy):
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["splits"]["train"]["rows"] += 1
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(PreparedDataError, match=r"hold \d+ records, the manifest says"):
        read_impressions(copy, "train", on_damage="skip")


def test_both_kinds_of_damage_are_skipped(copy):
    one, two = sorted(copy.glob("impressions-train-*.tfrecord"))
    damage(one)
    data = two.read_bytes()
    two.write_bytes(data[: record_starts(data)[-2]])
    with pytest.warns(SkippedShardWarning, match="2 of 2 shards"):
        rest = read_impressions(copy, "train", on_damage="skip")
    assert rest.skipped == (one.name, two.name) and len(rest) == 0


def set_int(name, *values):
    def change(features):
        features[name].int64_list.value[:] = values

    return change


def set_text(name, value):
    def change(features):
        features[name].bytes_list.value[:] = [value]

    return change


@pytest.mark.parametrize(
    ("stem", "change", "feature"),
    [
        ("items", lambda features: features.pop("title"), "title"),
        ("items", set_text("category", b"none of them"), "category"),
        ("items", set_int("item_index", 61), "item_index"),
        ("items", set_int("first_seen", -2), "first_seen"),
        ("pages-pretrain", set_int("shown", *range(1, 7)), "shown"),
        ("pages-pretrain", set_int("history", 0), "history"),
        ("pages-pretrain", set_text("timestamp", b"now"), "timestamp"),
        ("impressions-train", set_int("clicked", 2), "clicked"),
        ("impressions-train", set_int("clicked", 1, 1), "clicked"),
        ("impressions-train", set_int("timestamp", 5), "timestamp"),
        ("impressions-train", set_text("position", b"17"), "position"),
    ],
)
def test_a_record_that_does_not_fit_the_schema(copy, stem, change, feature):
    shard = largest(copy, stem)
    if feature == "timestamp" and "pages" in stem:

        def retyped(features):
            features.pop(feature)
            change(features)

        changed(shard, 5, retyped)
    else:
        changed(shard, 5, change)
    with pytest.raises(PreparedDataError) as error:
        READERS[stem](copy)
    message = str(error.value)
    assert re.search(rf"{shard.name} is damaged at record 5 .*feature {feature}: ", message)
    assert message.endswith("prepare it again") and "\n" not in message


def damage(shard):
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 0xFF
    shard.write_bytes(data)


@stems
def test_skipped_shards_are_counted(copy, stem):
    whole = READERS[stem](copy)
    shard = largest(copy, stem)
    lost = sum(1 for _ in tf.data.TFRecordDataset(str(shard)))
    damage(shard)
    total = len(whole) - (stem == "items")
    message = rf"1 of 2 shards and {lost} of {total} records of {stem} .*{shard.name}.* at record"
    with pytest.warns(SkippedShardWarning, match=message):
        rest = READERS[stem](copy, on_damage="skip")
    assert rest.skipped == (shard.name,)
    if stem == "items":
        assert len(rest) == len(whole) and (rest.item_id == "").sum() == lost + 1
        there = rest.item_id != ""
        np.testing.assert_array_equal(rest.image[there], whole.image[there])
    else:
        assert len(rest) == total - lost
        assert set(rest.page_id) <= set(whole.page_id)


def test_nothing_is_left_out_unless_asked(copy, recwarn):
    for read in READERS.values():
        assert read(copy, on_damage="skip").skipped == ()
    assert not [w for w in recwarn if w.category is SkippedShardWarning]
    with pytest.raises(ValueError, match='"raise" or "skip", got \'ignore\''):
        read_items(copy, on_damage="ignore")


def test_batches_without_the_items_of_a_damaged_shard(copy):
    whole, settings = read_pages(copy), read_manifest(copy)["settings"]
    damage(largest(copy, "items"))
    with pytest.warns(SkippedShardWarning):
        there = np.flatnonzero(read_items(copy, on_damage="skip").item_id != "")
        batches = list(pages(copy, batch_size=200, on_damage="skip", shuffle=False))
        pictures = list(items(copy, 32, on_damage="skip").as_numpy_iterator())
    np.testing.assert_array_equal(np.concatenate([p["item_index"] for p in pictures]), there)
    row = 0
    for batch in batches:
        for history, shown, clicked in zip(
            batch["history_item_index"], batch["shown_item_index"], batch["clicked"], strict=True
        ):
            expected = [item for item in whole.history[row] if item in there]
            width = settings["page_history"]
            assert list(history) == expected + [0] * (width - len(expected))
            pairs = zip(whole.shown[row], whole.clicked[row], strict=True)
            expected = [(item, label) for item, label in pairs if item in there]
            found = list(zip(shown.numpy(), clicked.numpy(), strict=True))
            assert found == expected + [(0, 0)] * (settings["max_shown"] - len(expected))
            row += 1
        assert set(batch["item_index"].numpy()) <= set(there)
    assert row == len(whole)


def test_impressions_of_whole_shards(copy):
    damage(largest(copy, "impressions-test"))
    with pytest.warns(SkippedShardWarning):
        read = impressions(copy, "test", shuffle=False, on_damage="skip")
        rows = read_impressions(copy, "test", on_damage="skip")
    clicked = np.concatenate([labels for _, labels in read.as_numpy_iterator()])
    np.testing.assert_array_equal(clicked, rows.clicked)
    assert 0 < len(clicked) < read_manifest(copy)["splits"]["test"]["rows"]
