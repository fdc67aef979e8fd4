"""Trains every method and ablation on the simulated shop and writes down their order.

    python pipelines/compare_methods.py [--work runs/methods] [--page docs/results/methods.md]

The same encoder, pages and epochs for all; `make methods`. An interrupted run goes on where it
was. Settings below; copy them into a recipe of your own (`pretrain.compare`) to do the same on
your data.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from tfrec_vis.demo import ITEMS, SECTIONS, SEED, USERS, run_demo  # noqa: E402
from tfrec_vis.errors import run_script  # noqa: E402
from tfrec_vis.pretraining import (  # noqa: E402
    ABLATIONS,
    METHODS,
    UNTRAINED,
    PretrainSettings,
    settings_of,
)
from tfrec_vis.pretraining.names import SMALL_POOL  # noqa: E402
from tfrec_vis.pretraining.record import recorded, relevant  # noqa: E402

FEATURE = "sim_score"
RATES = {"simsiam": 3e-5, "clip": 3e-5}
"""Learning rates of the baselines that, at COURIER's, ended below the embedding they began from.

Judged by the AUC of the mean cosine of item and history over validation rows, centred: the common
start has 0.642. At 1e-4: courier 0.677, supervised 0.650, simclr 0.649, simsiam 0.623, clip 0.603.
At 3e-5: simsiam 0.642, clip 0.636. No other rate was tried, and no test row looked at.
"""
COMPARED = {
    **SECTIONS,
    "pretrain": {
        **SECTIONS["pretrain"],
        "epochs": 2,
        "head_learning_rate": 1e-3,
        "learning_rates": RATES,
        # Baselines first, then what the alarm is for.
        "compare": [
            *UNTRAINED,
            *(name for name in METHODS if name != "courier"),
            "collapsed",
            *(name for name in ABLATIONS if name != "collapsed"),
        ],
    },
    "evaluate": {
        **SECTIONS["evaluate"],
        "features": ["none", FEATURE],
        "protocols": ["scratch"],
    },
}
"""The demo's shop and settings, twice its epochs, and a rate for heads."""

_RATES = ", ".join(f"`{name}` at {rate:g}" for name, rate in RATES.items())
_HEAD = f"""# Methods on the simulated shop

COURIER, its ablations and what it is compared with, each with the same encoder
(EfficientNet-Lite0, ImageNet's weights but for `random`), the same pages and
{COMPARED["pretrain"]["epochs"]} epochs, on the shop of `make demo` ({USERS} users, {ITEMS}
items): clicks follow what is visible in the photos, titles say nothing about it. `{FEATURE}` in
the ranker of the reports, AUC on the last fifth of the clicks, mean over
{COMPARED["evaluate"]["seeds"]} seeds of the ranker; points with the 95 % interval of a paired
bootstrap over users and seeds; one seed of pre-training ({SEED}).

Collapse is measured where it happens, on the embeddings of the last batch of the training, before
centring: mean pairwise cosine (1 is collapse), effective rank of
{COMPARED["pretrain"]["embedding_dim"]} dimensions, and whether the training's alarm spoke.
`collapsed` is meant to: it has no negatives. `truth` is the best embedding there is, the look
that users choose by.

All are trained with AdamW at a learning rate of {COMPARED["pretrain"]["learning_rate"]:g}, and
{COMPARED["pretrain"]["head_learning_rate"]:g} for what only the loss uses and begins at random
(COURIER's W_Q and W_K, temperature and click head; the others' projectors, predictor, text tower,
scale). At the common rate some ended below the embedding they began from, on validation rows, and
are trained at one that did better there: {_RATES}.
Temperatures are the papers' for the methods and the demo's
{COMPARED["pretrain"]["temperature"]} for COURIER and its ablations, which is also where
`learned_temperature` begins. `small_pool` has a batch
{SMALL_POOL} times smaller, and so {SMALL_POOL} times the steps. `no_contrast` has the released
code's click head alone, an MLP on [Rec ; Emb]. Titles of this shop are drawn without regard to the
photos: `clip` has nothing to learn from them.
"""


def main(arguments: Sequence[str]) -> None:
    """Runs the comparison and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("runs/methods"))
    parser.add_argument("--page", type=Path, default=Path("docs/results/methods.md"))
    given = parser.parse_args(arguments)
    run_demo(given.work, COMPARED)
    given.page.write_text(page(given.work))
    print(f"order of the methods: {given.page}")


def made_otherwise(work: Path) -> list[str]:
    """Names of the trainings in WORK that were made with other settings than those above."""
    settings = PretrainSettings(**COMPARED["pretrain"])
    found = []
    for name in (settings.method, *settings.compare):
        training = _json(work / "pretrain" / name / "training.json")
        expected = recorded(settings_of(name, settings))
        if training and {**relevant(training["settings"]), "prepared": None} != {
            **expected,
            "prepared": None,
        }:
            found.append(name)
    return found


def order(work: Path) -> list[dict[str, Any]]:
    """One row for each embedding in WORK, the highest AUC first.

    Returns:
        name, role, auc; against_none and behind_courier (comparisons of the report, or None);
        cosine, rank, alarm (None for what was not trained), seconds.
    """
    report = json.loads((work / "report.json").read_text())
    areas: dict[tuple[str, str], list[float]] = {}
    for run in report["rows"]:
        areas.setdefault((run["embedding"], run["role"]), []).append(run["auc"])
    pairs = {(c["a"], c["b"]): c for c in report["comparisons"]}
    rows = []
    for (name, role), values in areas.items():
        training = _json(work / "pretrain" / name / "training.json")
        embedding = training.get("embedding") or {}
        rows.append(
            {
                "name": name,
                "role": role,
                "auc": sum(values) / len(values),
                "against_none": pairs.get((f"{name}/{FEATURE}", "none/none")),
                "behind_courier": pairs.get((f"courier/{FEATURE}", f"{name}/{FEATURE}")),
                "cosine": embedding.get("mean_pairwise_cosine"),
                "rank": embedding.get("effective_rank"),
                "alarm": bool(training["alarms"]) if training else None,
                "seconds": _json(work / "pretrain" / name / ".stage.json").get("seconds"),
            }
        )
    return sorted(rows, key=lambda row: -row["auc"])


def page(work: Path) -> str:
    """The result as Markdown."""
    lines = [
        "| embedding | role | AUC | over no image | COURIER is ahead by | mean cosine | rank "
        "| alarm | training, s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in order(work):
        alarm = {None: "", False: "quiet", True: "**loud**"}[row["alarm"]]
        cells = [
            f"`{row['name']}`",
            row["role"],
            f"{row['auc']:.4f}",
            _points(row["against_none"]),
            _points(row["behind_courier"]),
            *("" if row[n] is None else f"{row[n]:.{d}f}" for n, d in (("cosine", 2), ("rank", 1))),
            alarm,
            "" if row["seconds"] is None else f"{row['seconds']:.0f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    report = json.loads((work / "report.json").read_text())
    best, seconds = report["best_possible"]["auc"], sum(report["cost"]["seconds"].values())
    packages = ", ".join(f"{p} {version(p)}" for p in ("tensorflow", "tf-keras", "keras-cv"))
    foot = f"""
Best possible AUC (true click probabilities): {best:.4f}.

Command: `make methods`; settings: `pipelines/compare_methods.py`; seed {SEED}; it took
{seconds / 60:.0f} minutes on {os.cpu_count()} cores ({platform.machine()}; {packages}).
"""
    return f"{_HEAD}\n" + "\n".join(lines) + f"\n{foot}"


def _points(comparison: Mapping[str, Any] | None) -> str:
    if comparison is None:
        return ""
    low, high = (100 * bound for bound in comparison["ci95"])
    return f"{100 * comparison['difference']:+.2f} ({low:+.2f} to {high:+.2f})"


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text()) if path.is_file() else {}


if __name__ == "__main__":
    run_script(main)
