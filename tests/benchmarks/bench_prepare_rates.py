"""What docs/scale.md counts with: bytes of a row on its way, rates of one core."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from functools import partial

from apache_beam.coders import FastPrimitivesCoder
from photos import textured_photo

from tfrec_vis.prepare.images import shrink_image
from tfrec_vis.prepare.item_table import BuildItemTable, ItemTable
from tfrec_vis.prepare.validate import Row
from tfrec_vis.prepare.write import example

ITEMS = 300_000


def rows() -> list[dict]:
    """Figures without targets."""
    coder = FastPrimitivesCoder()
    row = Row(1_600_000_000, "p123456789", "0108775015", 1, ("3", "phone"))
    found = [
        ("a log row by user, shuffled", f"{len(coder.encode(('u12345678', tuple(row))))} bytes")
    ]
    for clicks in (50, 10):
        record = impression(clicks)
        order = (row.timestamp, "u12345678", row.page_id, 12_345_678)
        shuffled = len(coder.encode((("impressions-train", 3), (order, record))))
        what = f"an impression with {clicks} clicks of history"
        found.append((what, f"{len(record)} bytes, {shuffled} shuffled"))
    photo = textured_photo()
    for size in (128, 224):
        shrink = partial(shrink_image, photo, size, 10**8, 95)
        rate = 1 / processor_seconds(shrink, 100)
        what = f"a photo of 640 x 800 pixels, {len(photo) // 1000} KB, to {size} pixels"
        found.append((what, f"{rate:.0f} a processor second, {len(shrink())} bytes stored"))
    table = item_table()
    found.append(("item_index", f"{len(pickle.dumps(table, 5)) / ITEMS:.0f} bytes an item"))
    lookup = processor_seconds(lambda: table.get("00123456"), 100_000)
    found.append(("item_index looked up", f"{1e6 * lookup:.1f} microseconds"))
    return [
        {"what": what, "target": "", "measured": measured, "holds": None}
        for what, measured in found
    ]


def impression(clicks: int) -> bytes:
    return example(
        {
            "user_id": "u12345678",
            "item_index": 12_345_678,
            "clicked": 1,
            "timestamp": 1_600_000_000,
            "page_id": "p123456789",
            "history": list(range(10**7, 10**7 + clicks)),
            "in_pretraining": 1,
            "item_seen_in_training": 1,
            "position": "3",
            "device": "phone",
        }
    )


def item_table() -> ItemTable:
    build = BuildItemTable(1)
    columns = build.create_accumulator()
    for item in range(ITEMS):
        columns = build.add_input(columns, (f"{item:08d}", (item,)))
    return build.extract_output(columns)


def processor_seconds(call: Callable[[], object], times: int) -> float:
    """Of one call, all threads together."""
    for _ in range(times // 10):
        call()
    started = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - started) / times
