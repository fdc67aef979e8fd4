"""A shop to which a day is added, run with encoders that nobody trained."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tf_keras as keras
import yaml

import tfrec_vis.workflow.run
from tfrec_vis.embeddings import Embeddings
from tfrec_vis.pretraining import Courier, PretrainSettings
from tfrec_vis.recipes import load_recipe
from tfrec_vis.workflow import PrepareOptions, run_recipe, stages

NEW = 7
SECTIONS = {
    "prepare": {"image_size": 32, "shards": 2},
    "embed": {"clusters": 5, "semantic_levels": 2, "semantic_codes": 4},
}


def encoder() -> keras.Model:
    pictures = keras.Input([None, None, 3])
    filtered = keras.layers.Conv2D(12, 5, 4, activation="relu")(pictures)
    return keras.Model(pictures, keras.layers.GlobalMaxPooling2D()(filtered))


class Shop:
    """A simulated shop that gets its last items on a later day, and its work folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.work = folder / "shop", folder / "work"

    def first_days(self) -> None:
        recipe = yaml.safe_load((self.folder / "recipe.yaml").read_text())
        (self.folder / "recipe.yaml").write_text(yaml.safe_dump(recipe | SECTIONS))
        for name in ("items", "log"):
            whole = (self.folder / f"{name}.csv").read_text()
            (self.folder / f"all-{name}.txt").write_text(whole)
        self.write(slice(1, -NEW))

    def write(self, items: slice, start: float = 0, end: float = np.inf) -> None:
        """Only these lines of the catalogue, and of the log what is theirs in [start, end)."""
        lines = (self.folder / "all-items.txt").read_text().splitlines(keepends=True)
        known = {line.split(",")[0] for line in lines[items]}
        log = (self.folder / "all-log.txt").read_text().splitlines(keepends=True)
        item, time = (log[0].rstrip().split(",").index(n) for n in ("item_id", "timestamp"))
        cells = [row.rstrip().split(",") for row in log[1:]]
        rows = [
            row
            for row, cell in zip(log[1:], cells, strict=True)
            if cell[item] in known and start <= int(cell[time]) < end
        ]
        (self.folder / "items.csv").write_text("".join([lines[0], *lines[items]]))
        (self.folder / "log.csv").write_text("".join([log[0], *rows]))

    def run(self, *settings: str, **options: object) -> None:
        recipe = load_recipe(self.folder / "recipe.yaml", settings)
        run_recipe(recipe, self.work, **options)

    def append(self, items: slice, cuts: str | None = None) -> None:
        self.write(items)
        self.run(only="prepare", preparation=PrepareOptions.parse([], True, cuts))

    def embed(self, *settings: str) -> None:
        self.run(*settings, only="embed", add_only=True)

    def read(self, name: str) -> Embeddings:
        return Embeddings.read(self.work / "embeddings" / name)

    def contents(self) -> dict[Path, bytes]:
        return {p: p.read_bytes() for p in self.work.rglob("*") if p.is_file()}


def replace_training(patch: pytest.MonkeyPatch) -> None:
    def train(
        prepared: Path, out: Path, run: PretrainSettings, logs: Path, profile: bool = False
    ) -> None:
        model = Courier(encoder(), 8, num_heads=2)
        model(np.zeros([1, 32, 32, 3], np.uint8))
        model.save(out / "model.keras")
        (out / "settings.json").write_text(json.dumps({"image_size": run.image_size}))

    def build_encoder(settings: PretrainSettings) -> keras.Model:
        keras.utils.set_random_seed(settings.seed)
        return encoder()

    patch.setattr(stages, "train", train)
    patch.setattr(stages, "build_encoder", build_encoder)
    patch.setattr(tfrec_vis.workflow.run, "make_deterministic", lambda: None)
    patch.setattr(tfrec_vis.workflow.run, "check_fits", lambda *_: None)
