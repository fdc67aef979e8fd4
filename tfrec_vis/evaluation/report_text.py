"""A report as text: for terminals and Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tfrec_vis.evaluation.figures import (
    decimal,
    interval_text,
    p_cell,
    p_text,
    points,
    protocol_text,
)
from tfrec_vis.evaluation.report_controls import popularity, shuffled
from tfrec_vis.evaluation.results_table import BASE, TableRow, table
from tfrec_vis.evaluation.summary import sentences, verdict, warning


def as_markdown(report: Mapping[str, Any]) -> str:
    """Return warning, verdict, tables, controls and best possible AUC as Markdown.

    Each ranker and protocol has a table of its own; its name stands above where there are several.
    """
    lines = [line for line in (warning(report), verdict(report), *sentences(report)) if line]
    groups = _groups(report)
    blocks = lines
    for title, rows in groups:
        if len(groups) > 1:
            blocks.append(f"**{title}**")
        cells = [[cell.replace("|", r"\|") for cell in _cells(row)] for row in rows]
        head = ["| " + " | ".join(_HEADER) + " |", "|" + "---|" * len(_HEADER)]
        blocks.append("\n".join(head + ["| " + " | ".join(row) + " |" for row in cells]))
    return "\n\n".join([*blocks, *_footers(report)]) + "\n"


_HEADER = ["embedding", "feature", "runs", "AUC", "sd", "GAUC", "gain (points)", "95 % interval"]
_HEADER += ["p", "p (Holm)", "AUC, new items"]


def _cells(row: TableRow) -> list[str]:
    gain = [""] * 4
    if row.name != BASE:
        gain = [points(row.difference, 2), interval_text(row.ci95)]
        gain += [p_cell(row.p_value), p_cell(row.p_holm)]
    return [
        row.embedding + (" (chosen)" if row.primary else ""),
        row.feature,
        row.runs,
        decimal(row.auc),
        decimal(row.auc_sd),
        decimal(row.gauc),
        *gain,
        decimal(row.auc_new),
    ]


def print_table(report: Mapping[str, Any], console: Console | None = None) -> None:
    """Print warning, verdict, table and best possible AUC to a terminal, in 80 columns.

    Rows of one ranker and protocol stand together under its name where there are several.
    """
    console = console or Console()
    if line := warning(report):
        console.print(escape(line), style="bold red")
    console.print(escape(verdict(report)), style="bold")
    for line in sentences(report):
        console.print(escape(line))
    groups = _groups(report)
    for title, rows in groups:
        if len(groups) > 1:
            console.print(f"\n{escape(title)}", style="italic")
        console.print(_terminal_table(rows))
    console.print("* the recipe's method in the feature chosen on validation")
    console.print("gain: points over no image; AUC new: on new items")
    for line in _footers(report):
        console.print(escape(line))


def _terminal_table(rows: list[TableRow]) -> Table:
    # Eighty columns with the names of the package; report.html and as_markdown have the rest.
    view = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for name, width in (("embedding", 10), ("feature", 10)):
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
        cells.append(decimal(row.auc_new))
        view.add_row(*map(escape, cells), style="bold" if row.primary else None)
    return view


def _groups(report: Mapping[str, Any]) -> list[tuple[str, list[TableRow]]]:
    """The rows of each ranker and protocol, with its name."""
    groups: dict[tuple[str, str], list[TableRow]] = {}
    for row in table(report):
        groups.setdefault(row.setting, []).append(row)
    return [(f"{r}, {protocol_text(p)}", rows) for (r, p), rows in groups.items()]


def _footers(report: Mapping[str, Any]) -> list[str]:
    lines = []
    controls = shuffled(report)
    for control in controls:
        protocol = f", {protocol_text(control['protocol'])}" if len(controls) > 1 else ""
        lines.append(
            f"Shuffled photos (control, {control['a']}{protocol}): "
            f"{points(control['difference'], 2)} points ({interval_text(control['ci95'])}). "
            f"{control['judgement']}"
        )
        if real := control["real"]:
            lines.append(
                f"Real against shuffled photos{protocol}: {points(real['difference'], 2)} points "
                f"({interval_text(real['ci95'])}, {p_text(real['p_value'])})."
            )
    if alone := popularity(report):
        line = (
            f"Popularity alone, without ids or photos (control): AUC {decimal(alone['auc'])}; "
            f"on new items {decimal(alone['auc_item_new'])}."
        )
        if alone["auc_frozen"] is not None:
            line += f" With its statistics frozen at the cuts: {decimal(alone['auc_frozen'])}."
        lines.append(line)
    if best := report.get("best_possible"):
        lines.append(
            f"Best possible AUC (true click probabilities): {decimal(best.get('auc'))}; "
            f"on new items {decimal(best.get('auc_item_new'))}."
        )
    return lines
