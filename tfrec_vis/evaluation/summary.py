"""A report in words and one table: for terminals, Markdown and the HTML page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import stdev
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tfrec_vis.evaluation.figures import (
    decimal,
    interval,
    interval_text,
    mean,
    number,
    p_cell,
    p_text,
    points,
)

BASE = "none/none"
"""The run without images, as comparisons name it."""

_ROLES = ("none", "baseline", "ablation", "courier", "oracle")
_SHARES = {0.5: "half", 1 / 3: "third", 0.25: "quarter", 0.2: "fifth", 0.1: "tenth"}


@dataclass(frozen=True)
class TableRow:
    """One embedding in one feature, over its seeds; None is undefined.

    Args:
        embedding, feature, ranker, protocol, role: as in the report's rows.
        seeds: how many runs there are.
        auc, gauc, ndcg, log_loss, ece: means over the runs.
        auc_sd: sample standard deviation of AUC over the runs; None for one run.
        auc_new, auc_known: mean AUC on items not clicked, or clicked, in the training data.
        difference: AUC minus that without images, absolute; with its 95 % interval `ci95`,
            `p_value` and Holm's `p_holm`; None where not compared.
        primary: whether validation chose this row.
    """

    embedding: str
    feature: str
    ranker: str
    protocol: str
    role: str
    seeds: int
    auc: float | None
    auc_sd: float | None
    gauc: float | None
    ndcg: float | None
    log_loss: float | None
    ece: float | None
    auc_new: float | None
    auc_known: float | None
    difference: float | None
    ci95: tuple[float, float] | None
    p_value: float | None
    p_holm: float | None
    primary: bool

    @property
    def name(self) -> str:
        """EMBEDDING/FEATURE, as comparisons name it."""
        return f"{self.embedding}/{self.feature}"


def table(report: Mapping[str, Any]) -> list[TableRow]:
    """Return one row for each embedding x feature x ranker x protocol, oracles last."""
    runs: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for run in report["rows"]:
        runs.setdefault(tuple(run[key] for key in _KEYS), []).append(run)
    rows = [_table_row(report, key, group) for key, group in runs.items()]
    return sorted(rows, key=lambda row: _ROLES.index(row.role) if row.role in _ROLES else 1)


_KEYS = ("embedding", "feature", "ranker", "protocol")


def _table_row(
    report: Mapping[str, Any], key: tuple[str, ...], runs: list[Mapping[str, Any]]
) -> TableRow:
    embedding, feature, ranker, protocol = key
    areas = [area for run in runs if (area := number(run.get("auc"))) is not None]
    against = find_comparison(report, f"{embedding}/{feature}", ranker, protocol) or {}
    primary = report.get("primary") or {}
    return TableRow(
        embedding=embedding,
        feature=feature,
        ranker=ranker,
        protocol=protocol,
        role=runs[0]["role"],
        seeds=len(runs),
        auc=mean(areas),
        auc_sd=stdev(areas) if len(areas) > 1 else None,
        gauc=mean(run.get("gauc") for run in runs),
        ndcg=mean(run.get("ndcg@10") for run in runs),
        log_loss=mean(run.get("log_loss") for run in runs),
        ece=mean(run.get("ece") for run in runs),
        auc_new=slice_auc(runs, "item_new"),
        auc_known=slice_auc(runs, "item_known"),
        difference=number(against.get("difference")),
        ci95=interval(against),
        p_value=number(against.get("p_value")),
        p_holm=number(against.get("p_holm")),
        primary=all(primary.get(name) == value for name, value in zip(_KEYS, key, strict=True)),
    )


def find_comparison(
    report: Mapping[str, Any], name: str, ranker: str, protocol: str
) -> Mapping[str, Any] | None:
    """Return the AUC comparison of `name` with no image, for one ranker and protocol."""
    wanted = {"a": name, "b": BASE, "ranker": ranker, "protocol": protocol, "metric": "auc"}
    for comparison in report.get("comparisons") or []:
        if all(comparison.get(key) == value for key, value in wanted.items()):
            return comparison
    return None


def verdict(report: Mapping[str, Any]) -> str:
    """Say in one sentence what photos did to AUC in the primary comparison.

    Args:
        report: as in DESIGN 3.4; `split["fractions"]`, the three time cuts as shares of the
            clicks, names the test rows.

    Returns:
        A sentence: a gain or a loss where the 95 % interval leaves out 0 and p < 0.05, "no
        measurable difference" otherwise.
    """
    rows = table(report)
    chosen = next((row for row in rows if row.primary), None)
    base = chosen and _base_of(rows, chosen)
    where = f"on {_test_rows(report)}"
    if chosen is None or base is None or chosen.auc is None or base.auc is None:
        return f"The effect of product photos on AUC is undefined {where}: too few rows or runs."
    if chosen.embedding == "none":
        return (
            f"Validation chose the model without product photos: AUC {chosen.auc:.3f} {where}; "
            "no image feature did better there."
        )
    trained = " pre-trained on clicks" if chosen.role == "courier" else ""
    photos = f"Product photos{trained} ({chosen.embedding}, {chosen.feature})"
    if chosen.difference is None or chosen.ci95 is None or chosen.p_value is None:
        return f"{photos}: AUC {base.auc:.3f} without, {chosen.auc:.3f} with, untested, {where}."
    digits = 1 if abs(chosen.difference) >= 0.01 else 2
    before, after = f"{base.auc:.{digits + 2}f}", f"{chosen.auc:.{digits + 2}f}"
    low, high = chosen.ci95
    change = (
        f"{points(chosen.difference, digits)} points (95 % interval {points(low, digits)} to "
        f"{points(high, digits)}, {p_text(chosen.p_value)}) {where}."
    )
    if chosen.p_value < 0.05 and (low > 0 or high < 0):
        verb = "raise" if low > 0 else "lower"
        return f"{photos} {verb} AUC from {before} to {after}, {change}"
    return f"{photos} make no measurable difference: AUC {before} without, {after} with, {change}"


def warning(report: Mapping[str, Any]) -> str | None:
    """Return the line that a report must begin with, if shuffled images show a gain."""
    control = (report.get("controls") or {}).get("shuffled_images")
    ci95 = interval(control or {})
    if not control or ci95 is None or ci95[0] <= 0:
        return None
    return (
        f"Warning: shuffled photos raise AUC too, by {points(control['difference'], 2)} points "
        f"(95 % interval {points(ci95[0], 2)} to {points(ci95[1], 2)}). They say nothing about "
        "the product, so the gains below are not due to the photos alone: do not rely on them."
    )


def as_markdown(report: Mapping[str, Any]) -> str:
    """Return warning, verdict, table and best possible AUC as Markdown."""
    header, *cells = _cells(report)
    lines = [line for line in (warning(report), verdict(report)) if line]
    head = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    body = ["| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in cells]
    blocks = [*lines, "\n".join(head + body), *_footers(report)]
    return "\n\n".join(blocks) + "\n"


def print_table(report: Mapping[str, Any], console: Console | None = None) -> None:
    """Print warning, verdict, table and best possible AUC to a terminal."""
    console = console or Console()
    rows = table(report)
    if line := warning(report):
        console.print(escape(line), style="bold red")
    console.print(escape(verdict(report)), style="bold")
    # Eighty columns with the names of the package; report.html and as_markdown have the rest.
    view = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for name, width in (("embedding", 8), ("feature", 10)):
        # longer names wrap, numbers are never cut
        view.add_column(name, overflow="fold", min_width=width)
    for name in ("AUC", "GAUC", "gain", "95 % interval", "p", "AUC new"):
        view.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        gain = ["", "", ""]
        if row.name != BASE:
            gain = [points(row.difference, 2), interval_text(row.ci95), p_cell(row.p_value)]
        name = row.embedding + (" *" if row.primary else "")
        cells = [name, row.feature, decimal(row.auc), decimal(row.gauc), *gain]
        view.add_row(
            *map(escape, [*cells, decimal(row.auc_new)]), style="bold" if row.primary else None
        )
    console.print(view)
    console.print("* the recipe's method in the feature chosen on validation")
    console.print("gain: points over no image; AUC new: on new items")
    for line in _footers(report):
        console.print(escape(line))


def _cells(report: Mapping[str, Any]) -> list[list[str]]:
    rows = table(report)
    several = len({(row.ranker, row.protocol) for row in rows}) > 1
    header = ["embedding", "feature", *(("ranker", "protocol") if several else ())]
    header += ["AUC", "sd", "GAUC", "gain (points)", "95 % interval", "p", "p (Holm)"]
    cells = [[*header, "AUC, new items"]]
    for row in rows:
        labels = [row.embedding, row.feature, *((row.ranker, row.protocol) if several else ())]
        labels[0] += " (chosen)" if row.primary else ""
        figures = [decimal(row.auc), decimal(row.auc_sd), decimal(row.gauc)]
        if row.name == BASE:
            gain = ["", "", "", ""]
        else:
            gain = [points(row.difference, 2), interval_text(row.ci95)]
            gain += [p_cell(row.p_value), p_cell(row.p_holm)]
        cells.append([*labels, *figures, *gain, decimal(row.auc_new)])
    return cells


def _footers(report: Mapping[str, Any]) -> list[str]:
    lines = []
    control = (report.get("controls") or {}).get("shuffled_images")
    if control:
        lines.append(
            f"Shuffled photos (control, {control['a']}): {points(control['difference'], 2)} points "
            f"({interval_text(interval(control))})."
        )
    if best := report.get("best_possible"):
        lines.append(
            f"Best possible AUC (true click probabilities): {decimal(best.get('auc'))}; "
            f"on new items {decimal(best.get('auc_item_new'))}."
        )
    return lines


def _base_of(rows: list[TableRow], row: TableRow) -> TableRow | None:
    like = (BASE, row.ranker, row.protocol)
    return next((r for r in rows if (r.name, r.ranker, r.protocol) == like), None)


def _test_rows(report: Mapping[str, Any]) -> str:
    split = report.get("split")
    fractions = split.get("fractions") if isinstance(split, Mapping) else None
    if not fractions:
        return "the test rows"
    share = 1 - fractions[-1]
    for value, word in _SHARES.items():
        if math.isclose(share, value, abs_tol=1e-6):
            return f"the last {word} of the clicks"
    return f"the last {100 * share:.3g} % of the clicks"


def slice_auc(runs: Iterable[Mapping[str, Any]], name: str) -> float | None:
    """Return the mean AUC of one slice over runs."""
    return mean((run.get("slices") or {}).get(name, {}).get("auc") for run in runs)
