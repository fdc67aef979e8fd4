"""Runs the benchmarks and writes docs/results/benchmarks.md (``make bench``).

Each ``bench_*.py`` beside this file has a function ``rows()`` returning a list of
``{"what", "target", "measured", "holds"}``: three texts and a bool, or None where there is no
target to hold.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import importlib.util
import os
import platform
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

HERE = Path(__file__).resolve().parent
RESULT = HERE.parents[1] / "docs/results/benchmarks.md"
PACKAGES = ("tensorflow", "tf-keras", "numpy", "apache-beam", "faiss-cpu", "scikit-learn")


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # worker processes look functions up by module
    spec.loader.exec_module(module)
    return module


def measure(path: Path) -> list[dict[str, Any]]:
    """The rows of one benchmark; one that fails is a row that does not hold."""
    started = time.perf_counter()
    try:
        rows = load(path).rows()
    except Exception as error:  # the others are still worth measuring
        failure = f"failed: {type(error).__name__}: {error}"
        rows = [{"what": path.stem, "target": "", "measured": failure, "holds": False}]
    print(f"{path.stem}: {time.perf_counter() - started:.0f} s", flush=True)
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    marks = {True: "yes", False: "**no**", None: ""}
    lines = ["| what | target | measured | holds |", "|---|---|---|---|"]
    for row in rows:
        cells = [row["what"], row["target"], row["measured"], marks[row["holds"]]]
        texts = (str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells)
        lines.append(f"| {' | '.join(texts)} |")
    return "\n".join(lines) + "\n"


def page(rows: list[dict[str, Any]], seconds: float) -> str:
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    return (
        "# Benchmarks\n\n"
        "Command: `make bench`\n\n"
        f"Measured {datetime.date.today().isoformat()} in {seconds:.0f} s, on {os.cpu_count()} "
        f"cores ({platform.machine()}, {platform.system()}), Python {platform.python_version()}, "
        f"{versions}.\n\n{table(rows)}"
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Run the benchmarks.")
    parser.add_argument("names", nargs="*", help="run only these, and only print (bench_auc ...)")
    names = parser.parse_args(arguments).names
    paths = sorted(HERE.glob("bench_*.py"))
    unknown = set(names) - {path.stem for path in paths}
    if unknown:
        parser.error(f"no benchmark {', '.join(sorted(unknown))} in {HERE.name}/")

    started = time.perf_counter()
    rows = [row for path in paths if not names or path.stem in names for row in measure(path)]
    print(table(rows), end="")
    if not names:
        RESULT.parent.mkdir(parents=True, exist_ok=True)
        RESULT.write_text(page(rows, time.perf_counter() - started), encoding="utf-8")
        print(f"written: {RESULT}")
    return int(any(row["holds"] is False for row in rows))


if __name__ == "__main__":
    sys.exit(main())
