"""A shop that grows, and rankers over it made by hand: what the tests of ``refresh`` share."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import yaml
from growing_shop import SECTIONS, Shop, replace_training

from tfrec_vis.data import Impressions, read_impressions, read_items
from tfrec_vis.evaluation.rows import category_numbers
from tfrec_vis.ranking import Ranker, RankerTables
from tfrec_vis.recipes import Recipe, load_recipe
from tfrec_vis.serving import versions
from tfrec_vis.workflow import refresh as refreshing
from tfrec_vis.workflow import stages
from tfrec_vis.workflow.evaluated import read_vectors
from tfrec_vis.workflow.refresh import Refreshed, refresh

NEW, DAY = 6, 86_400
FEATURE = "vector+sim_score+cluster_id+sim_tier+semantic_id"
EVALUATE = {"history": 6, "min_count": 3, "gates": True, "images_off": ["Kestrel"]}
CATEGORIES = {-1: "Zebra", -2: ""}
"""What the last items of the catalogue are called, after the others are known."""


class GrowingShop(Shop):
    """Its last items, and the last fifth of its log, come on a later day."""

    @property
    def new_day(self) -> int:
        return int((self.folder / "new_day").read_text())

    def first_days(self) -> None:
        recipe = yaml.safe_load((self.folder / "recipe.yaml").read_text())
        source = recipe["source"]["catalogue"]
        recipe |= SECTIONS | {"evaluate": EVALUATE, "export": {"max_auc_drop": None}}
        recipe["prepare"] = {**SECTIONS["prepare"], "max_rejected": 0.5}
        (self.folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
        lines = (self.folder / "items.csv").read_text().splitlines(keepends=True)
        at = lines[0].rstrip().split(",").index(source["columns"]["category"])
        for place, category in CATEGORIES.items():
            cells = lines[place].rstrip().split(",")
            lines[place] = ",".join([*cells[:at], category, *cells[at + 1 :]]) + "\n"
        (self.folder / "all-items.txt").write_text("".join(lines))
        log = (self.folder / "log.csv").read_text()
        (self.folder / "all-log.txt").write_text(log)
        at = log.splitlines()[0].split(",").index("timestamp")
        times = [int(line.split(",")[at]) for line in log.splitlines()[1:]]
        (self.folder / "new_day").write_text(str(int(np.quantile(times, 0.8))))
        self.write(slice(1, -NEW), end=self.new_day)

    def append(self, items: slice = slice(1, None), cuts: str | None = None) -> None:
        self.write(items, start=self.new_day)
        self.run(only="prepare", preparation=stages.PrepareOptions(append=True))

    def refresh(self, *settings: str) -> Refreshed:
        return refresh(load_recipe(self.folder / "recipe.yaml", settings), self.work)

    def export(self, name: str, version: int) -> Path:
        return self.work / "saved_models" / name / str(version)

    def versions(self) -> list[list[int]]:
        names = ("encoder", "ranker", "similar")
        return [versions(self.work / "saved_models" / name) for name in names]


def without_training(recipe: Recipe, prepared: Path, folders: list[Path], out: Path) -> None:
    """What an evaluation leaves for the export: here a ranker of large random weights."""
    settings = recipe.evaluate
    tables = RankerTables.build(prepared, settings.history, settings.min_count)
    ranker = hand_made(tables, prepared, folders[0])
    random = np.random.default_rng(7)
    for variable in ranker.trainable_variables:
        variable.assign(random.normal(scale=0.2, size=variable.shape))
    rows = tables.inputs(read_impressions(prepared, "train", settings.history))
    ranker.fit_scale(ranker.numbers({n: tf.constant(v) for n, v in rows.items()}))
    (out / "runs").mkdir(exist_ok=True)
    np.savez(out / "runs/first.npz", **{f"weight/{n}": w for n, w in ranker.learned().items()})
    primary = {"feature": FEATURE, "ranker": "din", "run": "first.npz"}
    report = {"primary": primary, "settings": {"evaluate": asdict(settings)}}
    (out / "report.json").write_text(json.dumps(report))


def hand_made(tables: RankerTables, prepared: Path, embeddings: Path) -> Ranker:
    """A ranker over tables and the embeddings that are there."""
    vectors, items = read_vectors(embeddings, prepared, "courier"), read_items(prepared)
    names, numbers = category_numbers(items.category)
    visual = {"vector_dim": vectors.vectors.shape[1], "clusters": 5, "semantic": (2, 4)}
    ranker = Ranker(tables, FEATURE, visual={**visual, "categories": len(names)})
    off = np.isin(items.category.astype(str), EVALUATE["images_off"])
    ranker.visual.set_tables(**{**vectors.tables, "off": off}, categories=numbers)
    return ranker


def replace_slow_parts(patch: pytest.MonkeyPatch) -> None:
    replace_training(patch)
    patch.setattr(stages, "evaluate", without_training)
    patch.setattr(refreshing, "make_deterministic", lambda: None)
    latency = {"latency_ms": {"p50": 0.0, "p99": 0.0}}
    patch.setattr("tfrec_vis.workflow.publishing.infra_check", lambda *_, **__: latency)


loaded = cache(lambda export: tf.saved_model.load(str(export)))


def scores(export: Path, request: dict[str, np.ndarray], signature: str) -> np.ndarray:
    call = loaded(export).signatures[signature]
    kinds = {n: spec.dtype for n, spec in call.structured_input_signature[1].items()}
    return call(**{n: tf.constant(request[n].tolist(), kinds[n]) for n in kinds})["ctr"].numpy()


def extended_by_hand(before: Path, prepared: Path) -> RankerTables:
    """The tables of training, with a row for every new item, by dictionaries of texts."""
    tables = RankerTables.build(before, EVALUATE["history"], EVALUATE["min_count"])
    items, old = read_items(prepared, pictures=False), len(tables.item_id)
    train = set(read_impressions(before, "train").item_index)
    values, rare = tables.values.tolist(), tables.rarity.tolist()
    buckets = [each.tolist() for each in tables.buckets]
    texts = [items.item_id, items.category]
    for row in range(old, len(items)):
        values.append([])
        rare.append([])
        for a, column in enumerate(texts):
            like = [other for other in range(row) if column[other] == column[row]]
            if column[row] == "":
                number, rarity = 0, 0.0
            elif like:
                number, rarity = values[like[0]][a], rare[like[0]][a]
            else:
                number, rarity = len(buckets[a]), -np.log(1 / (1 + len(train)))
                buckets[a].append(0)
            values[row].append(number)
            rare[row].append(rarity)
    everything = [read_impressions(prepared, s) for s in ("train", "validation", "test")]
    events = [
        (i, t, c)
        for rows in everything
        for i, t, c in zip(rows.item_index, rows.timestamp, rows.clicked, strict=True)
    ]
    item, time, clicked = (np.array(column) for column in zip(*events, strict=True))
    return replace(
        tables,
        item_id=items.item_id,
        values=np.array(values, np.int32),
        rarity=np.array(rare, np.float32),
        buckets=tuple(np.array(each, np.int32) for each in buckets),
        click_item=item[clicked == 1],
        click_time=time[clicked == 1],
        shown_item=item,
        shown_time=time,
    )


def rows_of_new_items(prepared: Path, first: int) -> Impressions:
    rows = read_impressions(prepared, "test")
    return rows.take(np.flatnonzero((rows.item_index >= first) | (rows.history >= first).any(1)))
