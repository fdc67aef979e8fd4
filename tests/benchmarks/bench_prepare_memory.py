"""Memory of a preparation as the log grows.

``make bench`` runs a small form; ``python tests/benchmarks/bench_prepare_memory.py 1:1 4:4 4:1``
prepares 1 million rows in 1 pass, 4 million in 4 and 4 million in 1, each in a process of its
own, and writes docs/results/prepare.md. ``1:1:clicks`` takes all rows as clicks, of a log that does
not tell what was shown besides: four un-clicked items are drawn for each.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "docs/results/prepare.md"
ITEMS, DAYS, SHOWN, USER_ROWS = 2_000, 28, 5, 50
SHARDS = 16
BLOCK = 100_000
ALLOWED = 1.2
LABELLED = "labelled"


def rows() -> list[dict]:
    """The growth from 50 to 200 thousand rows in 1 and 4 passes."""
    one, four = measure(50_000, 1), measure(200_000, 4)
    growth = four["peak_mb"] / one["peak_mb"]
    return [
        {
            "what": "prepare: peak memory of 200 k rows in 4 passes, by that of 50 k in 1",
            "target": "< 1.2",
            "measured": f"{growth:.2f} ({four['peak_mb']:.0f} and {one['peak_mb']:.0f} MB)",
            "holds": growth < ALLOWED,
        }
    ]


def write_shop(folder: Path, count: int) -> None:
    """A log of ``count`` rows, pages of 5 over 28 days; all items share one tiny photo."""
    rng = np.random.default_rng(0)
    Image.new("RGB", (8, 8), "red").save(folder / "one.jpg")
    names = [f"{item:06d}" for item in range(ITEMS)]
    catalogue = "".join(f"{name},one.jpg\n" for name in names)
    (folder / "items.csv").write_text("item_id,image\n" + catalogue)
    with (folder / "log.csv").open("w") as file:
        file.write("user_id,item_id,timestamp,page_id,clicked\n")
        for first in range(0, count, BLOCK):
            number = np.arange(first, min(first + BLOCK, count))
            page = number // SHOWN
            user = rng.integers(0, count // USER_ROWS, number[-1] // SHOWN - page[0] + 1)
            moment = 1_600_000_000 + rng.integers(0, DAYS * 86_400, len(user))
            item = (ITEMS * rng.random(len(number)) ** 2).astype(int)
            clicked = (rng.random(len(number)) < 0.2).astype(int)
            at = page - page[0]
            columns = zip(user[at], item, moment[at], page, clicked, strict=True)
            file.writelines(f"u{u},{names[i]},{t},p{p},{c}\n" for u, i, t, p, c in columns)


def measure(count: int, passes: int, kind: str = LABELLED) -> dict:
    """Seconds, peak memory and bytes written of one preparation, in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        write_shop(Path(name), count)
        command = [sys.executable, __file__, "--one", name, str(passes), kind]
        here = {**os.environ, "PYTHONPATH": str(ROOT)}
        ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=here)
        return json.loads(ended.stdout.splitlines()[-1])


def prepare_one(folder: Path, passes: int, kind: str) -> dict:
    """Run within the process that is measured."""
    from tfrec_vis import sources
    from tfrec_vis.prepare import PrepareSettings, prepare

    names = ["user_id", "item_id", "timestamp"]
    if kind == LABELLED:
        names += ["page_id", "clicked"]
    config = {
        "kind": "table",
        "interactions": {"path": "log.csv", "columns": {name: name for name in names}},
        "catalogue": {"path": "items.csv", "columns": {"item_id": "item_id", "image": "image"}},
    }
    source = sources.create(config, str(folder))
    before = resource.getrusage(resource.RUSAGE_SELF)
    before_mb = _peak_mb()
    started = time.perf_counter()
    out = folder / "prepared"
    prepare(source, out, PrepareSettings(shards=SHARDS, passes=passes))
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_SELF)
    peak_mb = _peak_mb()
    written = {
        kind: sum(path.stat().st_size for path in out.glob(f"{kind}-*"))
        for kind in ("pages", "impressions")
    }
    return {
        "seconds": seconds,
        "cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "peak_mb": peak_mb,
        "before_mb": before_mb,
        "log_bytes": (folder / "log.csv").stat().st_size,
        "written": written,
    }


def _peak_mb() -> float:
    """Of this program alone; ``ru_maxrss`` has that of the process which started it too."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"^VmHWM:\s+(\d+) kB$", status, re.M)[1]) / 1024


def page(measured: list[tuple[int, int, str, dict]], command: str) -> str:
    """The results page."""
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}" for name in ("apache-beam", "tensorflow")
    )
    lines = [
        "# Preparation",
        "",
        f"Command: `{command}`",
        "",
        f"Measured {datetime.date.today().isoformat()} on {os.cpu_count()} cores "
        f"({platform.machine()}), Python {platform.python_version()}, {versions}.",
        "",
        f"A simulated log (seed 0): pages of {SHOWN} items over {DAYS} days, {USER_ROWS} rows a "
        f"user, {ITEMS} items that share one picture of 8 pixels, `shards: {SHARDS}`. Each "
        "preparation ran in a process of its own, on the runner in memory; peak memory is that of "
        "this process, `MB before` what it had used when the package was loaded, growth its ratio "
        "to the first line with such a log.",
        "",
        "| log | rows | passes | seconds | processor seconds | peak MB | growth | MB before |",
        "|---|---|---|---|---|---|---|---|",
    ]
    first: dict[str, float] = {}
    for count, passes, kind, found in measured:
        first.setdefault(kind, found["peak_mb"])
        lines.append(
            f"| {kind} | {count:,} | {passes} | {found['seconds']:.0f} "
            f"| {found['cpu_seconds']:.0f} | {found['peak_mb']:,.0f} "
            f"| {found['peak_mb'] / first[kind]:.2f} | {found['before_mb']:,.0f} |"
        )
    count, _, _, found = measured[0]
    lines += [
        "",
        f"Bytes a row, of the first line: {found['log_bytes'] / count:.0f} in the log, "
        + ", ".join(f"{size / count:.0f} in {kind}" for kind, size in found["written"].items())
        + ".",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "runs", nargs="*", help="MILLION_ROWS:PASSES[:clicks]", default=["1:1", "4:4"]
    )
    parser.add_argument(
        "--one", nargs=3, metavar=("FOLDER", "PASSES", "KIND"), help=argparse.SUPPRESS
    )
    given = parser.parse_args()
    if given.one:
        print(json.dumps(prepare_one(Path(given.one[0]), int(given.one[1]), given.one[2])))
        return
    measured = []
    for run in given.runs:
        millions, passes, *kind = run.split(":")
        count = round(float(millions) * 1_000_000)
        asked = count, int(passes), kind[0] if kind else LABELLED
        measured.append((*asked, measure(*asked)))
        print(*measured[-1], flush=True)
        command = " ".join(["python", "tests/benchmarks/bench_prepare_memory.py", *given.runs])
        RESULT.write_text(page(measured, command), encoding="utf-8")


if __name__ == "__main__":
    main()
