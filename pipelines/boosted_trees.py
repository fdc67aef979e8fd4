"""What gradient-boosted trees reach on a work folder's rows, without pictures and with them.

    python pipelines/boosted_trees.py RECIPE --work DIR [--embedding NAME ...] [--set A.B=C]

Three settings, each without pictures, with the cosines of each embedding in DIR/embeddings, and
with the same of embeddings that are shuffled over the items:

ranker     the ranker's rows and all that it reads as numbers (Ranker.numbers): trained on its
           training rows, judged on its test rows
values     the same, and the values of the item's attributes, as categories
purchases  first purchases of an item with the last fifth as the test, un-bought items sampled anew
           (tfrec_vis.evaluation.purchase_rows), in several samples

And the DIN ranker without pictures on the rows of the first two, all training rows, from scratch:
its scores are those of DIR/evaluation/predictions.parquet, or, without that file, it is trained
here in as many seeds as the recipe says. It is compared with the trees without pictures by a paired
bootstrap over users and DIN's seeds.

Prints two tables and writes DIR/boosted_trees.json.
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
import pandas as pd  # noqa: E402
from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: E402

from tfrec_vis.data import Impressions  # noqa: E402
from tfrec_vis.embeddings import Embeddings  # noqa: E402
from tfrec_vis.errors import InputError, run_script  # noqa: E402
from tfrec_vis.evaluation import item_statistics, purchase_rows  # noqa: E402
from tfrec_vis.evaluation.rows import Rows  # noqa: E402
from tfrec_vis.evaluation.settings import EvaluateSettings  # noqa: E402
from tfrec_vis.metrics import auc, paired_bootstrap  # noqa: E402
from tfrec_vis.ranking import Ranker, RankerTables, Trainer  # noqa: E402
from tfrec_vis.recipes import load_recipe  # noqa: E402

POPULARITY = ("events", "events in 30 days", "days since last", "days since first")
"""The statistics of the setting "purchases"; the others have all of the ranker's."""
TOP = 3
CATEGORIES = 254
"""Values of an attribute that trees can tell apart."""
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
    din = din_scores(given.work, rows, settings)
    compared = list(against_trees(din, results, rows, settings.replicates))
    seconds = time.perf_counter() - started
    print(f"{table(results)}\n\n{din_table(din, compared, rows)}")
    results = [{n: v for n, v in result.items() if n != "scores"} for result in results]
    clicked = rows.split["test"].clicked
    written = {
        "rows": results,
        "din": [auc(clicked, scores) for scores in din],
        "din_minus_trees": compared,
        "seconds": round(seconds, 1),
    }
    out = given.work / "boosted_trees.json"
    beside = out.with_suffix(".partial")
    beside.write_text(json.dumps(written, indent=1))
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
    """The ranker's rows and numbers, without and with the values of the item's attributes.

    New items are those that nobody clicked in training.
    """
    train, validation, test = (rows.split[name] for name in ("train", "validation", "test"))
    parts, new = (train, validation, train, test), ~test.item_seen_in_training
    known = partial(numbers, Ranker(rows.tables))
    yield from judged("ranker", known, parts, new, pictures, 0)
    coded = categories(rows.tables.values, train.item_index)

    def with_values(part: Impressions) -> np.ndarray:
        return np.concatenate([coded[part.item_index], known(part)], axis=1).astype(np.float32)

    columns = range(coded.shape[1])
    yield from judged("values", with_values, parts, new, pictures, 0, columns)


def numbers(ranker: Ranker, rows: Impressions) -> np.ndarray:
    """All that a ranker reads as numbers: float32 [rows, columns]."""
    inputs = {
        "item": rows.item_index,
        "history": rows.history[:, : ranker.history_length],
        "timestamp": rows.timestamp,
    }
    parts = [
        ranker.numbers({n: v[start : start + CHUNK] for n, v in inputs.items()}).numpy()
        for start in range(0, len(rows), CHUNK)
    ]
    return np.concatenate(parts)


def categories(values: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Attribute values by how frequent they are, 0 first; the rare ones share the last number.

    Args:
        values: int [items + 1, attributes].
        seen: int [rows], the items to count.

    Returns:
        int [items + 1, attributes], below 255.
    """
    coded = np.zeros_like(values)
    for a, column in enumerate(values.T):
        count = np.bincount(column[seen], minlength=int(column.max()) + 1)
        place = np.argsort(np.argsort(-count, kind="stable"))
        coded[:, a] = np.minimum(place[column], CATEGORIES)
    return coded


def din_scores(work: Path, rows: Rows, settings: EvaluateSettings) -> np.ndarray:
    """DIN without pictures on the test rows, [seeds, rows]: what evaluate wrote, or trained here.

    Raises:
        InputError: evaluate's predictions are of other rows.
    """
    path = work / "evaluation/predictions.parquet"
    if path.is_file():
        stored = pd.read_parquet(path)
        if not np.array_equal(stored["clicked"], rows.split["test"].clicked):
            raise InputError(f"{path}: of other test rows than {work / 'prepared'}; evaluate again")
        seeds = [name for name in stored if name.startswith("none/none/din/scratch/0/")]
        if seeds:
            return stored[seeds].to_numpy(np.float64).T
    trainer = Trainer(
        rows.tables,
        batch_size=settings.batch_size,
        epochs=settings.epochs,
        learning_rate=settings.learning_rate,
    )
    train, validation = (
        (rows.inputs[name], rows.split[name].clicked) for name in ("train", "validation")
    )
    test = {"test": rows.inputs["test"]}
    return np.stack(
        [trainer.fit(train, validation, test, s).scores["test"] for s in range(settings.seeds)]
    )


def against_trees(
    din: np.ndarray, results: Sequence[dict[str, Any]], rows: Rows, replicates: int
) -> Iterator[dict[str, Any]]:
    """AUC of DIN minus that of the trees without pictures, on the ranker's test rows.

    The trees have no seed: the same scores stand against each of DIN's.
    """
    test = rows.split["test"]
    for result in results:
        if result["pictures"] == "none" and result["setting"] != "purchases":
            trees = np.tile(result["scores"], (len(din), 1))
            found = paired_bootstrap(test.clicked, test.user_id.astype(str), din, trees, replicates)
            yield {"setting": result["setting"], **found}


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
    categorical: Sequence[int] = (),
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
        categorical: columns of ``known`` that are categories.
    """
    compared: list[tuple[str, np.ndarray | None]] = [("none", None)]
    for name, vectors in pictures.items():
        order = 1 + np.random.default_rng(seed).permutation(len(vectors) - 1)
        compared += [(name, vectors), (f"{name}, shuffled", vectors[np.append(0, order)])]
    x_known = [known(part) for part in parts]
    y = [part.clicked for part in parts]
    for name, vectors in compared:
        x = [joined(*pair, vectors) for pair in zip(x_known, parts, strict=True)]
        trees = choose(x[0], y[0], x[1], y[1], categorical)
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
            "scores": scores,
        }


def choose(
    x: np.ndarray,
    y: np.ndarray,
    x_held_out: np.ndarray,
    y_held_out: np.ndarray,
    categorical: Sequence[int] = (),
) -> dict[str, Any]:
    """The trees with the highest AUC on held-out rows."""
    found = []
    for trees in TREES:
        settings = {**trees, "early_stopping": False, "random_state": 0}
        if categorical:
            settings["categorical_features"] = list(categorical)
        model = HistGradientBoostingClassifier(**settings).fit(x, y)
        found.append((auc(y_held_out, model.predict_proba(x_held_out)[:, 1]), settings))
    return max(found, key=lambda pair: pair[0])[1]


def features(
    tables: RankerTables, rows: Impressions, statistics: Sequence[str], without: Sequence[str] = ()
) -> np.ndarray:
    """Item statistics, and the share of the history with the target's value of each attribute.

    Args:
        tables: the ranker's.
        rows: whose features.
        statistics: names of those wanted.
        without: attributes left out.

    Returns:
        float32 [rows, columns]
    """
    dated = item_statistics(tables, rows.item_index, rows.timestamp)
    columns = [dated[name] for name in statistics]
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


def din_table(din: np.ndarray, compared: Sequence[dict[str, Any]], rows: Rows) -> str:
    """DIN's AUC and what it is above the trees without pictures, as Markdown."""
    test = rows.split["test"]
    new = ~test.item_seen_in_training
    areas = [auc(test.clicked, scores) for scores in din]
    of_new = np.mean([auc(test.clicked[new], scores[new]) for scores in din])
    spread = f" (sd {np.std(areas, ddof=1):.4f})" if len(areas) > 1 else ""
    lines = [
        f"DIN without pictures: AUC {np.mean(areas):.4f}{spread}, new items {of_new:.4f}, "
        f"{len(din)} seeds",
        "",
        "| DIN minus trees on | points | 95 % interval | |",
        "|---|---|---|---|",
    ]
    for found in compared:
        low, high = (100 * end for end in found["ci95"])
        told = "not distinguishable" if low <= 0 <= high else "distinguishable"
        difference = 100 * found["difference"]
        setting = found["setting"]
        lines.append(f"| {setting} | {difference:+.2f} | {low:+.2f} to {high:+.2f} | {told} |")
    return "\n".join(lines)


if __name__ == "__main__":
    run_script(main)
