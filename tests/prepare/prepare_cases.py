"""A source in memory, small pictures, and readers for the tests of ``prepare``."""

from __future__ import annotations

import io
import json
import random
from collections import Counter
from pathlib import Path

import apache_beam as beam
import tensorflow as tf
from PIL import Image

from tfrec_vis.data.records import impression_record, item_record, page_record
from tfrec_vis.sources.source import RawRow, Source

CONTEXT = ("device",)
FEATURES = ("brand",)
RECORDS = ("pages-pretrain", "impressions-train", "impressions-validation", "impressions-test")
DAY = 86_400


class MemorySource(Source):
    """Rows given as dictionaries or RawRows."""

    kind = "memory"
    timestamp_format = "seconds"

    def __init__(self, log, items, has_labels=True, roots=(), features=FEATURES, context=CONTEXT):
        self.log, self.items = _raw("log.csv", log), _raw("items.csv", items)
        self.has_labels = has_labels
        self.image_roots = tuple(map(str, roots))
        self.item_features, self.context_features = features, context

    def files(self):
        return []

    def check(self):
        pass

    def interactions(self):
        return beam.Create(self.log)

    def catalogue(self):
        return beam.Create(self.items)


def _raw(name, rows):
    return [
        row if isinstance(row, RawRow) else RawRow(f"{name}:{line}", row)
        for line, row in enumerate(rows, start=2)
    ]


def photo(color=(200, 30, 30), size=(12, 16), form="JPEG", mode="RGB", **save):
    stored = io.BytesIO()
    Image.new("RGB", size, color).convert(mode).save(stored, form, **save)
    return stored.getvalue()


def catalogue(count):
    image = photo()
    return [
        {
            "item_id": f"{n:04d}",
            "image": image,
            "title": f"item {n}",
            "category": f"kind {n % 3}",
            "brand": f"b{n % 4}",
        }
        for n in range(count)
    ]


def random_log(seed, rows=400, users=12, items=30, span=12 * DAY, step=DAY // 8, labels=True):
    """A log with ties in time, repeated clicks, pages over several moments and exact copies."""
    rng = random.Random(seed)
    log = []
    for _ in range(rows):
        user, moment = f"u{rng.randrange(users)}", rng.randrange(0, span, step)
        row = {
            "user_id": user,
            "item_id": f"{int(items * rng.random() ** 2):04d}",
            "timestamp": str(moment),
            "page_id": f"p{moment // (3 * step)}" if rng.random() < 0.7 else "",
            "device": rng.choice(["phone", "desk", ""]),
        }
        if labels:
            row["clicked"] = rng.choice("001")
        log.append(row)
    log += [dict(row) for row in rng.sample(log, rows // 10)]
    rng.shuffle(log)
    return log


def read(folder, stem):
    """All records of one type as dictionaries, and their serialized bytes."""
    if stem == "items":
        spec = item_record(FEATURES)
    else:
        spec = page_record() if stem.startswith("pages") else impression_record(CONTEXT)
    files = sorted(map(str, Path(folder).glob(f"{stem}-*.tfrecord")))
    serialized = list(tf.data.TFRecordDataset(files).as_numpy_iterator())
    columns = tf.io.parse_example(serialized, spec)
    lists = {
        name: value.to_list() if isinstance(value, tf.RaggedTensor) else value.numpy().tolist()
        for name, value in columns.items()
    }
    return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]


def by_item_id(folder):
    """Records with item_ids in place of numbers, the items, and the number of each item."""
    items = read(folder, "items")
    names = {item["item_index"]: item["item_id"] for item in items}
    records = {}
    for stem in RECORDS:
        records[stem] = Counter()
        for record in read(folder, stem):
            for key in ("history", "shown"):
                if key in record:
                    record[key] = tuple(names[number] for number in record[key])
            if "item_index" in record:
                record["item_index"] = names[record["item_index"]]
            record["clicked"] = str(record["clicked"])
            records[stem][tuple(sorted(record.items()))] += 1
    by_id = {item["item_id"]: {**item, "item_index": 0} for item in items}
    return records, by_id, {name: number for number, name in names.items()}


def raw_records(folder, stem):
    """How often each serialized record occurs."""
    files = sorted(map(str, Path(folder).glob(f"{stem}-*.tfrecord")))
    return Counter(tf.data.TFRecordDataset(files).as_numpy_iterator())


def rejects(folder, kind):
    lines = []
    for path in sorted(Path(folder).glob(f"rejects-{kind}-*.jsonl")):
        lines += [json.loads(line) for line in path.read_text().splitlines()]
    return lines
