"""Pages that carry their pictures against those that take them from the catalogue."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from tfrec_vis import sources
from tfrec_vis.data import pages, read_manifest
from tfrec_vis.prepare import PrepareSettings, prepare
from tfrec_vis.simulation import simulate

USERS, ITEMS, BATCH, ROUNDS = 800, 1_500, 64, 3
KINDS: dict[str, dict[str, Any]] = {
    "lookup": {},
    "embedded": {"image_join": "embedded"},
    "embedded, block_pages 32": {"image_join": "embedded", "block_pages": 32},
}


def rows() -> list[dict]:
    """Figures without targets, seed 0."""
    with tempfile.TemporaryDirectory() as folder:
        shop = Path(folder) / "shop"
        simulate(shop, users=USERS, items=ITEMS, seed=0, image_size=128)
        config = yaml.safe_load((shop / "recipe.yaml").read_text())["source"]
        prepared = {}
        for kind, settings in KINDS.items():
            prepared[kind] = Path(folder) / kind
            source = sources.create(config, str(shop))
            prepare(source, prepared[kind], PrepareSettings(image_size=128, **settings))
        rates: dict[str, list[float]] = {kind: [] for kind in KINDS}
        for _ in range(ROUNDS):
            for kind in KINDS:
                rates[kind].append(_rate(prepared[kind]))
        return [
            {
                "what": f"pages in batches of {BATCH}, {ITEMS:,} items, {kind}",
                "target": "",
                "measured": f"{_page_bytes(prepared[kind]):,.0f} bytes a page, "
                f"{statistics.median(rates[kind]):,.0f} pictures a processor second",
                "holds": None,
            }
            for kind in KINDS
        ]


def _page_bytes(prepared: Path) -> float:
    size = sum(path.stat().st_size for path in prepared.glob("pages-*"))
    return size / read_manifest(prepared)["splits"]["pretrain"]["records"]


def _rate(prepared: Path) -> float:
    dataset = pages(prepared, batch_size=BATCH)
    started = time.process_time()
    count = sum(len(batch["item_index"]) for batch in dataset)
    return count / (time.process_time() - started)
