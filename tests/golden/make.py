"""Makes the golden models of a release: what every later version must be able to load.

    python tests/golden/make.py [--out FOLDER]

writes FOLDER/VERSION (default: beside this file), once per release, before its tag:

    models.tar.gz     encoder, ranker, similar: tiny exports, with their warm-up calls, which are
                      requests and what the Keras models answered
    prepared.tar.gz   the prepared records of the tiny shop they are of
    records.json      what those records say

A folder that is there is left alone: golden models are never made anew.
"""

from __future__ import annotations

import argparse
import json
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import tfrec_vis  # noqa: E402
from tfrec_vis.data import read_impressions, read_items, read_pages  # noqa: E402

USERS, ITEMS = 20, 50
FEATURE = "sim_score+cluster_id"


def facts(prepared: Path) -> dict[str, Any]:
    """What the readers say of a prepared folder; nothing that depends on its place."""
    items = read_items(prepared)
    rows = {split: read_impressions(prepared, split) for split in ("train", "validation", "test")}
    pages = read_pages(prepared)
    return {
        "item_id": items.item_id.tolist(),
        "category": items.category.tolist(),
        "picture_bytes": [len(picture) for picture in items.image],
        "rows": {split: len(part) for split, part in rows.items()},
        "clicks": {split: int(part.clicked.sum()) for split, part in rows.items()},
        "test": {
            "user_id": rows["test"].user_id[:5].tolist(),
            "item_index": rows["test"].item_index[:5].tolist(),
            "timestamp": rows["test"].timestamp[:5].tolist(),
            "history": rows["test"].history[:5, :5].tolist(),
        },
        "pages": len(pages),
    }


def make(folder: Path) -> None:
    """Writes the golden models of this version into an empty folder."""
    from prepared_shop import write
    from tiny_models import write_tiny_models

    with tempfile.TemporaryDirectory() as scratch:
        _, prepared = write(Path(scratch), users=USERS, items=ITEMS)
        models = write_tiny_models(prepared, Path(scratch) / "models", FEATURE)
        for part in (models, prepared):
            with tarfile.open(folder / f"{part.name}.tar.gz", "w:gz") as archive:
                archive.add(part, part.name, filter=_of_nobody)
        (folder / "records.json").write_text(json.dumps(facts(prepared)))


def _of_nobody(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    return member


def main() -> int:
    parser = argparse.ArgumentParser(description="Make the golden models of this version.")
    parser.add_argument("--out", type=Path, default=HERE, help="where the version's folder goes")
    folder = parser.parse_args().out / tfrec_vis.__version__
    if folder.exists():
        parser.error(f"{folder} is there: golden models are never made anew")
    folder.mkdir(parents=True)
    make(folder)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{folder}: {size / 1e3:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
