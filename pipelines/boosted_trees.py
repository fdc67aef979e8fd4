"""What gradient-boosted trees reach on a work folder's rows, without pictures and with them.

    python pipelines/boosted_trees.py RECIPE --work DIR [--embedding NAME ...] [--set A.B=C]

Two settings, each without pictures, with the cosines of each embedding in DIR/embeddings, and with
the same of embeddings that are shuffled over the items:

ranker     the ranker's rows and features: trained on its training rows, judged on its test rows
purchases  first purchases of an item with the last fifth as the test, un-bought items sampled anew
           (tfrec_vis.evaluation.purchase_rows), in several samples

Prints a table and writes DIR/boosted_trees.json.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np  # noqa: E402
from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: E402

from tfrec_vis.data import Impressions  # noqa: E402
from tfrec_vis.embeddings import Embeddings  # noqa: E402
from tfrec_vis.errors import InputError, run_script  # noqa: E402
from tfrec_vis.evaluation import item_statistics, purchase_rows  # noqa: E402
from tfrec_vis.evaluation.rows import Rows  # noqa: E402
from tfrec_vis.metrics import auc  # noqa: E402
from tfrec_vis.ranking import RankerTables  # noqa: E402
from tfrec_vis.recipes import load_recipe  # noqa: E402

POPULARITY = ("events", "events in 30 days", "days since last", "days since first")
"""The statistics of the setting "purchases"; "ranker" has all of the ranker's."""
TOP = 3
CHUNK = 4096
TREES: tuple[dict[str, Any], ...] = (
    {"learning_rate": 0.05, "max_iter": 150, "max_leaf_nodes": 15, "min_samples_leaf": 100},
    {"learning_rate": 0.02, "max_iter": 100},
    {"learning_rate": 0.1, "max_iter": 100},
)
"""Those to choose from on held-out rows; the last is scikit-learn's default."""


def main(arguments: Sequence[str]) -> None:
    """Fits the trees, prints the table and writes the JSON."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw, allow_abbrev=False)
    parser.add_argument("recipe", help="the recipe that DIR was made with")
    parser.add_argument("--work", type=Path, required=True, help="work folder, with prepared/")
    parser.add_argument("--embedding", action="append", metavar="NAME", help="default: all")
    parser.add_argument("--samples", type=int, default=3, help="of un-bought items (default 3)")
    parser.add_argument("--set", action="append", default=[], metavar="A.B=C")
    given = parser.parse_args(arguments)
    settings = load_recipe(given.recipe, given.set).evaluate
    if not (given.work / "prepared/manifest.json").is_file():
        raise InputError(f"{given.work}: no prepared data; run tfrec-vis prepare first")
    if given.samples < 1:
        raise InputError(f"--samples: expected at least 1, got {given.samples}")

    started = time.perf_counter()
    rows = Rows.read(given.work / "prepared", settings.history, settings.min_count)
    pictures = {n: read_vectors(given.work, n, rows) for n in chosen(given.work, given.embedding)}
    results = [*of_ranker(rows, pictures), *of_purchases(rows, pictures, given.samples)]
    seconds = time.perf_counter() - started
    print(table(results))
    out = given.work / "boosted_trees.json"
    beside = out.with_suffix(".partial")
    beside.write_text(json.dumps({"rows": results, "seconds": round(seconds, 1)}, indent=1))
    os.replace(beside, out)
    print(f"written: {out} ({seconds:.0f} s)")


def chosen(work: Path, names: Sequence[str] | None) -> list[str]:
    """The embeddings asked for, or all that are there."""
    there = sorted(p.parent.name for p in work.glob("embeddings/*/metadata.json"))
    for name in names or ():
        if name not in there:
            raise InputError(f"--embedding: no {name} in {work / 'embeddings'}; there: {there}")
    return list(names or there)


def read_vectors(work: Path, name: str, rows: Rows) -> np.ndarray:
    """Float32 [items + 1, d] by item_index, L2-normalised; zeros where an item has none."""
    return Embeddings.read(work / "embeddings" / name).vectors_for(rows.item_ids)


def of_ranker(rows: Rows, pictures: dict[str, np.ndarray]) -> Iterator[dict[str, Any]]:
    """The ranker's rows and features; new items are those that nobody clicked in training."""
    train, validation, test = (rows.split[name] for name in ("train", "validation", "test"))
    known = partial(features, rows.tables)
    new = ~test.item_seen_in_training
    yield from judged("ranker", known, (train, validation, train, test), new, pictures, 0)


def of_purchases(
    rows: Rows, pictures: dict[str, np.ndarray], samples: int
) -> Iterator[dict[str, Any]]:
    """First purchases, the last fifth as the test; new items are those never bought before."""
    statistics = tuple(f"clicks: {name}" for name in POPULARITY)
    known = partial(features, rows.tables, statistics=statistics, without=("item_id",))
    for seed in range(samples):
        train, test = purchase_rows(rows, seed=seed).values()
        late = train.timestamp > np.quantile(train.timestamp, 0.8, method="inverted_cdf")
        new = item_statistics(rows.tables, test.item_index, test.timestamp)["clicks: events"] == 0
        parts = (train.take(~late), train.take(late), train, test)
        yield from judged("purchases", known, parts, new, pictures, seed)


def judged(
    setting: str,
    known: Callable[[Impressions], np.ndarray],
    parts: tuple[Impressions, Impressions, Impressions, Impressions],
    new: np.ndarray,
    pictures: dict[str, np.ndarray],
    seed: int,
) -> Iterator[dict[str, Any]]:
    """A result without pictures, with each embedding, and with each shuffled.

    Args:
        setting: its name.
        known: gives the features without pictures.
        parts: what trees are chosen with: fitted to the first rows, judged on the second; and
            what they are then fitted to and judged on.
        new: bool, the last part's rows on new items.
        pictures: vectors by name.
        seed: of the shuffling.
    """
    compared: list[tuple[str, np.ndarray | None]] = [("none", None)]
    for name, vectors in pictures.items():
        order = 1 + np.random.default_rng(seed).permutation(len(vectors) - 1)
        compared += [(name, vectors), (f"{name}, shuffled", vectors[np.append(0, order)])]
    x_known = [known(part) for part in parts]
    y = [part.clicked for part in parts]
    for name, vectors in compared:
        x = [joined(*pair, vectors) for pair in zip(x_known, parts, strict=True)]
        trees = choose(x[0], y[0], x[1], y[1])
        model = HistGradientBoostingClassifier(**trees).fit(x[2], y[2])
        scores = model.predict_proba(x[3])[:, 1]
        yield {
            "setting": setting,
            "pictures": name,
            "sample": seed,
            "test_rows": len(new),
            "new_item_rows": int(new.sum()),
            "auc": auc(y[3], scores),
            "auc_item_new": auc(y[3][new], scores[new]),
            "trees": trees,
        }


def choose(
    x: np.ndarray, y: np.ndarray, x_held_out: np.ndarray, y_held_out: np.ndarray
) -> dict[str, Any]:
    """The trees with the highest AUC on held-out rows."""
    found = []
    for trees in TREES:
        settings = {**trees, "early_stopping": False, "random_state": 0}
        model = HistGradientBoostingClassifier(**settings).fit(x, y)
        found.append((auc(y_held_out, model.predict_proba(x_held_out)[:, 1]), settings))
    return max(found, key=lambda pair: pair[0])[1]


def features(
    tables: RankerTables,
    rows: Impressions,
    statistics: Sequence[str] | None = None,
    without: Sequence[str] = (),
) -> np.ndarray:
    """Item statistics, and the share of the history with the target's value of each attribute.

    Args:
        tables: the ranker's.
        rows: whose features.
        statistics: names of those wanted; None: all.
        without: attributes left out.

    Returns:
        float32 [rows, columns]
    """
    dated = item_statistics(tables, rows.item_index, rows.timestamp)
    columns = [v for n, v in dated.items() if statistics is None or n in statistics]
    history = rows.history[:, : tables.history]
    clicks = np.maximum((history > 0).sum(axis=1), 1)
    for name, values in zip(tables.attributes, tables.values.T, strict=True):
        if name not in without:
            target = values[rows.item_index][:, None]
            same = (values[history] == target) & (target > 0) & (history > 0)
            columns.append(same.sum(axis=1) / clicks)
    return np.stack(columns, axis=1).astype(np.float32)


def joined(known: np.ndarray, rows: Impressions, vectors: np.ndarray | None) -> np.ndarray:
    """The features, with mean, highest and mean of the three highest cosines to the history."""
    if vectors is None:
        return known
    parts = []
    for start in range(0, len(rows), CHUNK):
        part = rows.take(np.arange(start, min(start + CHUNK, len(rows))))
        there = part.history > 0
        target, history = vectors[part.item_index], vectors[part.history]
        cosine = np.einsum("nd,nld->nl", target, history, optimize=True)
        clicks = there.sum(axis=1)
        mean = (cosine * there).sum(axis=1) / np.maximum(clicks, 1)
        highest = np.sort(np.where(there, cosine, -np.inf), axis=1)[:, ::-1][:, :TOP]
        highest = np.where(np.isfinite(highest), highest, 0.0)
        top = highest.sum(axis=1) / np.clip(clicks, 1, TOP)
        parts.append(np.stack([mean, highest[:, 0], top], axis=1))
    return np.concatenate([known, np.concatenate(parts)], axis=1).astype(np.float32)


def table(results: Sequence[dict[str, Any]]) -> str:
    """Means over the samples, as Markdown."""
    lines = [
        "| setting | pictures | AUC | over none (points) | AUC, new items | samples | test rows |",
        "|---|---|---|---|---|---|---|",
    ]
    cells: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for result in results:
        cells.setdefault((result["setting"], result["pictures"]), []).append(result)
    for (setting, name), same in cells.items():
        area, of_new = (np.mean([r[key] for r in same]) for key in ("auc", "auc_item_new"))
        without = np.mean([r["auc"] for r in cells[setting, "none"]])
        gain = "" if name == "none" else f"{100 * (area - without):+.2f}"
        lines.append(
            f"| {setting} | {name} | {area:.4f} | {gain} | {of_new:.4f} | {len(same)} "
            f"| {same[0]['test_rows']:,} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    run_script(main)
