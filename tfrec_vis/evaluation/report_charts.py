"""The geometry of a report's charts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tfrec_vis.evaluation import figures
from tfrec_vis.evaluation.results_table import BASE, TableRow

_SIDE = 300
"""Width of the reliability plot's inside, in its own units."""


def gain_charts(
    rows: Sequence[TableRow], chosen: TableRow | None, controls: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return the bars and ticks of the gains, positions in % of the width.

    One chart for each protocol of the chosen row's ranker, all with the same ticks.
    """
    if chosen is None:
        return []
    bars: dict[str, list[tuple[str, str, float, tuple[float, float] | None]]] = {}
    for row in rows:
        if row.ranker == chosen.ranker and row.difference is not None:
            kind = "chosen" if row.primary else row.role
            bars.setdefault(row.protocol, []).append((row.name, kind, row.difference, row.ci95))
    for control in controls:
        if (difference := figures.number(control["difference"])) is not None:
            bar = ("shuffled photos", "control", difference, control["ci95"])
            bars.setdefault(control["protocol"], []).append(bar)
    values = [0.0]
    for _, _, difference, ci95 in (bar for group in bars.values() for bar in group):
        values += [difference, *(ci95 or ())]
    ticks = round_ticks(100 * min(values), 100 * max(values))
    low, high = ticks[0], ticks[-1]

    def place(share: float) -> float:
        return round(2 + 96 * (100 * share - low) / (high - low), 2)

    return [
        {
            "title": f"{chosen.ranker}, {figures.protocol_text(protocol)}",
            "zero": place(0),
            "ticks": [(place(tick / 100), f"{tick + 0.0:+.3g}" if tick else "0") for tick in ticks],
            "bars": [
                {
                    "name": name,
                    "kind": kind,
                    "left": min(place(0), place(difference)),
                    "width": round(abs(place(difference) - place(0)), 2),
                    "end": place(difference),
                    "whisker": (place(ci95[0]), place(ci95[1])) if ci95 else None,
                    "difference": difference,
                    "ci95": ci95,
                }
                for name, kind, difference, ci95 in group
            ],
        }
        for protocol, group in bars.items()
    ]


def round_ticks(low: float, high: float) -> list[float]:
    """Return round positions from at most `low` to at least `high`, three to seven of them."""
    span = max(high - low, 0.1)
    unit = 10 ** math.floor(math.log10(span / 4))
    step = next(unit * m for m in (1, 2, 5, 10) if span / (unit * m) <= 5)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [step * tick for tick in range(first, max(last, first + 2) + 1)]


def reliability_plots(report: Mapping[str, Any], chosen: TableRow | None) -> list[dict[str, Any]]:
    """Return a plot for each protocol of the chosen row's ranker, with and without photos.

    Points are in 0 to 300 along both axes, which reach from 0 to the same round probability.
    """
    curves: dict[str, list[dict[str, Any]]] = {}
    for curve in report.get("reliability") or []:
        name = f"{curve['embedding']}/{curve['feature']}"
        bins = [part for part in curve["bins"] if _is_defined(part)]
        if chosen and bins and name in (BASE, chosen.name) and curve["ranker"] == chosen.ranker:
            curves.setdefault(curve["protocol"], []).append(
                {
                    "name": "without photos" if name == BASE else name,
                    "kind": "base" if name == BASE else "with",
                    "bins": bins,
                }
            )
    if not curves:
        return []
    ends = [[part["predicted"], part["clicked"]] for part in _bins(curves.values())]
    ticks = round_ticks(0, max(max(pair) for pair in ends))
    for curve in (one for group in curves.values() for one in group):
        curve["points"] = [
            (_along(part["predicted"], ticks), _along(part["clicked"], ticks))
            for part in curve["bins"]
        ]
    return [
        {
            "title": figures.protocol_text(protocol) if len(curves) > 1 else "",
            "ticks": [(_along(tick, ticks), f"{tick:.3g}") for tick in ticks],
            "curves": group,
        }
        for protocol, group in curves.items()
    ]


def _is_defined(part: Mapping[str, Any]) -> bool:
    return None not in (figures.number(part["predicted"]), figures.number(part["clicked"]))


def _bins(groups: Iterable[list[dict[str, Any]]]) -> Iterator[Mapping[str, Any]]:
    for group in groups:
        for curve in group:
            yield from curve["bins"]


def _along(value: float, ticks: Sequence[float]) -> float:
    return round(_SIDE * value / ticks[-1], 1)
