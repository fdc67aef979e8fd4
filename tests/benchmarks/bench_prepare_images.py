"""What an image costs in a preparation, against a plain loop that does the same image work."""

from __future__ import annotations

import multiprocessing
import os
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

from photos import textured_photo

from tfrec_vis import sources
from tfrec_vis.prepare import PrepareSettings, prepare
from tfrec_vis.prepare.images import read_image, shrink_image

FEW, TIMES, ROUNDS = 300, 4, 3
SIZE = 128
ALLOWED = 1.5


def rows() -> list[dict]:
    """The slope of `prepare` between FEW and 4 x FEW photos, by that of a pool of processes."""
    settings = PrepareSettings(image_size=SIZE)
    work = partial(shrink, settings)
    with tempfile.TemporaryDirectory() as name:
        folders = [write_shop(Path(name, str(n)), n) for n in (FEW, TIMES * FEW)]
        prepared, plain = [], []
        # Another process forked from one with TensorFlow's threads may hang.
        with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
            pool.map(work, photos(folders[0]), chunksize=8)  # the processes import TensorFlow
            for turn in range(ROUNDS):
                few, many = (seconds(partial(run, f, settings, turn)) for f in folders)
                prepared.append((many - few) / (TIMES - 1) / FEW)
                few, many = (
                    seconds(partial(pool.map, work, photos(f), chunksize=8)) for f in folders
                )
                plain.append((many - few) / (TIMES - 1) / FEW)
    mine, loop = statistics.median(prepared), statistics.median(plain)
    return [
        {
            "what": f"prepare: seconds a photo (640 x 800 to {SIZE} pixels, slope from {FEW} to "
            f"{TIMES * FEW}), by those of a plain pool of {os.cpu_count()} processes",
            "target": f"<= {ALLOWED}",
            "measured": f"{mine / loop:.2f} ({1000 * mine:.2f} and {1000 * loop:.2f} ms)",
            "holds": mine <= ALLOWED * loop,
        }
    ]


def write_shop(folder: Path, items: int) -> Path:
    """A shop with ``items`` photos and a short log."""
    (folder / "photos").mkdir(parents=True)
    some = [textured_photo(seed) for seed in range(10)]
    for item in range(items):
        (folder / "photos" / f"{item}.jpg").write_bytes(some[item % len(some)])
    lines = [f"{item},{item}.jpg\n" for item in range(items)]
    (folder / "items.csv").write_text("item_id,image\n" + "".join(lines))
    log = [f"u{n % 7},{n % items},{n * 3600},{n % 2}\n" for n in range(200)]
    (folder / "log.csv").write_text("user_id,item_id,timestamp,clicked\n" + "".join(log))
    return folder


def photos(folder: Path) -> list[str]:
    """Paths of a shop's photos."""
    return sorted(map(str, (folder / "photos").iterdir()))


def shrink(settings: PrepareSettings, path: str) -> int:
    """The image work of one photo."""
    image = read_image(path, [os.path.dirname(path)])
    return len(shrink_image(image, settings.image_size, settings.max_pixels, settings.jpeg_quality))


def run(folder: Path, settings: PrepareSettings, turn: int) -> None:
    """One preparation."""
    names = ("user_id", "item_id", "timestamp", "clicked")
    config = {
        "kind": "table",
        "interactions": {"path": "log.csv", "columns": {name: name for name in names}},
        "catalogue": {"path": "items.csv", "columns": {"item_id": "item_id", "image": "image"}},
        "images": "photos",
    }
    prepare(sources.create(config, str(folder)), folder / f"prepared-{turn}", settings)


def seconds(call: partial) -> float:
    """How long a call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started
