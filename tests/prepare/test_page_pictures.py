"""Pages that carry their pictures, against plain loops and against pages that do not."""

from __future__ import annotations

import random
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest
import tensorflow as tf
from prepare_cases import MemorySource, catalogue, photo, random_log, read

from tfrec_vis.data.records import page_record
from tfrec_vis.data.schema import read_schema
from tfrec_vis.errors import InputError
from tfrec_vis.prepare import PrepareSettings, prepare
from tfrec_vis.prepare.page_pictures import CutIntoBlocks, place_picture, with_pictures
from tfrec_vis.prepare.write import example

ITEMS, BLOCK = 30, 16
LOOKUP = PrepareSettings(shards=2, image_size=16)
EMBEDDED = replace(LOOKUP, image_join="embedded", block_pages=BLOCK)


def colourful(count):
    return [
        {**item, "image": photo((n * 8, 255 - n * 8, n * 5))}
        for n, item in enumerate(catalogue(count))
    ]


def records_of(path):
    """The records of one shard with their pictures, in their order."""
    columns = {
        name: tf.io.RaggedFeature(kind)
        for name, kind in (
            ("history", tf.int64),
            ("shown", tf.int64),
            ("image_item_index", tf.int64),
            ("image", tf.string),
        )
    }
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        parsed = tf.io.parse_single_example(record, columns)
        yield {name: value.numpy().tolist() for name, value in parsed.items()}


def check_pictures(folder: Path, block=BLOCK):
    """Each picture once in its block, where it is first named; gives how many are stored."""
    jpeg = {item["item_index"]: item["image"] for item in read(folder, "items")}
    assert len(set(jpeg.values())) == len(jpeg)
    stored = 0
    for path in folder.glob("pages-pretrain-*.tfrecord"):
        for place, page in enumerate(records_of(path)):
            if place % block == 0:
                there = set()
            expected = []
            for item in page["history"] + page["shown"]:
                if item not in there:
                    there.add(item)
                    expected.append(item)
            assert page["image_item_index"] == expected
            assert page["image"] == [jpeg[item] for item in expected]
            stored += len(expected)
    return stored


@pytest.fixture(scope="module")
def log():
    return random_log(11)


@pytest.fixture(scope="module")
def both(tmp_path_factory, log):
    """Folders and manifests of the same data, without and with pictures in the pages."""
    folder = tmp_path_factory.mktemp("both")
    source = MemorySource(log, colourful(ITEMS))
    lookup = prepare(source, folder / "lookup", LOOKUP)
    embedded = prepare(source, folder / "embedded", EMBEDDED)
    return folder / "lookup", folder / "embedded", lookup, embedded


def test_each_picture_once_in_a_block(both):
    stored = check_pictures(both[1])
    pages = read(both[1], "pages-pretrain")
    assert len(pages) > 5 * BLOCK
    named = sum(len(set(page["history"] + page["shown"])) for page in pages)
    assert ITEMS < stored < named / 2


def test_all_else_is_as_without_pictures(both):
    lookup, embedded, *manifests = both
    names = [path.name for path in sorted(lookup.glob("pages-*"))]
    for name in names:  # the same shards, in the same order
        assert read(embedded, name[: -len("-of-00002.tfrecord")]) == read(
            lookup, name[: -len("-of-00002.tfrecord")]
        )
    without, with_them = manifests
    differ = {
        name
        for name, checksum in without["checksums"].items()
        if with_them["checksums"][name] != checksum
    }
    assert differ == {*names, "schema/pages.pbtxt"}
    same = without.keys() - {"checksums", "settings"}
    assert all(without[key] == with_them[key] for key in same)


def test_the_schema_has_the_pictures(both):
    lookup, embedded, *_ = both
    assert [f.name for f in read_schema(lookup, "pages").feature] == list(page_record())
    features = {feature.name: feature for feature in read_schema(embedded, "pages").feature}
    assert list(features) == list(page_record(embedded=True))
    assert features["image"].HasField("image_domain")
    counts = [
        len(page["image"])
        for path in embedded.glob("pages-pretrain-*")
        for page in records_of(path)
    ]
    for name in ("image", "image_item_index"):
        bounds = features[name].value_count
        assert (bounds.min, bounds.max) == (min(counts), max(counts))
    domain = features["image_item_index"].int_domain
    assert (domain.min, domain.max) == (1, ITEMS)


def test_same_files_from_shuffled_rows_and_another_runner(both, log, tmp_path):
    rows, items = list(log), colourful(ITEMS)
    random.Random(3).shuffle(rows)
    random.Random(4).shuffle(items)
    flags = ["--runner=PortableRunner", "--job_endpoint=embed", "--environment_type=LOOPBACK"]
    manifest = prepare(MemorySource(rows, items), tmp_path / "out", EMBEDDED, flags)
    assert manifest["checksums"] == both[3]["checksums"]


def test_a_day_is_added_in_passes_with_other_shards_and_blocks(both, log, tmp_path):
    """To pages without pictures: pages are made anew from the impressions."""
    last = max(int(row["timestamp"]) for row in log)
    day = [{**row, "timestamp": str(last + 1 + n)} for n, row in enumerate(log[:40])]
    items = colourful(ITEMS + 2)
    day[0] = {**day[0], "item_id": items[-1]["item_id"]}
    settings = replace(EMBEDDED, shards=3, passes=2, block_pages=1)
    cuts = [*both[3]["cuts"][:2], last + 10]
    prepare(MemorySource(day, items), tmp_path / "out", settings, (), both[0], cuts)
    pages = read(tmp_path / "out", "pages-pretrain")

    def key(page):
        return page["timestamp"], page["user_id"], page["page_id"], page["shown"]

    assert sorted(pages, key=key) == sorted(read(both[1], "pages-pretrain"), key=key)
    stored = check_pictures(tmp_path / "out", block=1)
    assert stored == sum(len(set(page["history"] + page["shown"])) for page in pages)


def test_blocks_are_cut_as_they_stream():
    def records():
        for place in range(20_000):
            yield place, example({"history": [place % 7 + 1], "shown": [9, 9], "clicked": [1, 0]})

    tracemalloc.start()
    needed = records_seen = 0
    for element in CutIntoBlocks(1_000).process((("pages-pretrain", 4), records())):
        if hasattr(element, "tag"):
            item, (shard, block) = element.value
            assert 1 <= item <= 9 and shard == 4 and block == records_seen // 1_000
            needed += 1
        else:
            shard, (block, _, place, _) = element
            assert (shard, block, place) == (4, records_seen // 1_000, records_seen)
            records_seen += 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (records_seen, needed) == (20_000, 20 * 8)
    assert peak < 20e6


class ManyNeeds:
    """One picture and many blocks that need it, made anew in each pass."""

    def __iter__(self):
        yield 0, 0
        yield b"x" * 10_000
        yield from ((block % 7, block) for block in range(1, 50_000))


def test_a_picture_that_all_blocks_need_is_held_once():
    tracemalloc.start()
    placed = sum(len(piece[-1]) == 10_000 for _, piece in place_picture((5, ManyNeeds())))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert placed == 50_000
    assert peak < 1e5


def test_a_picture_that_nobody_has():
    assert list(place_picture((5, [b"jpeg"]))) == []
    with pytest.raises(RuntimeError, match="item_index 5, which has no picture"):
        list(place_picture((5, [(0, 1)])))


def test_the_pictures_of_a_block_are_let_go_after_it():
    def pieces():
        for block in range(200):
            for item in range(1, 11):
                yield block, 0, item, b"x" * 10_000
            page = example({"history": [], "shown": list(range(1, 11)), "clicked": [0] * 10})
            yield block, 1, block, page

    tracemalloc.start()
    sizes = [len(record) for record in with_pictures(pieces())]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(sizes) == 200 and min(sizes) > 100_000
    assert peak < 2e6


@pytest.mark.parametrize(
    "wrong, words",
    [
        ({"image_join": "embed"}, "prepare.image_join: expected lookup or embedded, got 'embed'"),
        ({"block_pages": 0}, "prepare.block_pages: expected 1 to 100000, got 0"),
    ],
)
def test_settings(wrong, words):
    with pytest.raises(InputError, match=words):
        PrepareSettings(**wrong)
