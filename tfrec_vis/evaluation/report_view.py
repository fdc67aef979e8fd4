"""What the page of a report shows, out of the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tfrec_vis.evaluation import figures, report_controls, summary
from tfrec_vis.evaluation.report_charts import gain_charts, reliability_plots
from tfrec_vis.evaluation.report_slices import slice_groups
from tfrec_vis.evaluation.results_table import (
    BASE,
    TableRow,
    base_of,
    best_other,
    other_protocols,
    primary_row,
    runs_of,
    table,
)

_MOST_GATED = 200
_MOST_MODELS = 6
"""Models whose gates are shown."""
_LONGEST = 400
"""Characters of a setting that are shown."""


def view(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return the template's variables; what an older report lacks is empty."""
    rows = table(report)
    chosen = primary_row(rows)
    base = base_of(rows, chosen) if chosen else None
    others = other_protocols(rows, chosen) if chosen else []
    shuffled = report_controls.shuffled(report)
    comparisons = list(_comparisons(report))
    cost = report.get("cost") or {}
    return {
        "dataset": (report.get("dataset") or {}).get("name") or "",
        "warning": summary.warning(report),
        "verdict": summary.verdict(report),
        "sentences": summary.sentences(report),
        "rows": rows,
        # What is alike in all rows is left out of their tables.
        "settings_shown": [
            name for name in ("protocol", "ranker") if len({getattr(r, name) for r in rows}) > 1
        ],
        "chosen": chosen,
        "base": base,
        "protocols": [
            {"row": row, "base": base_of(rows, row), "other": _best_other(report, rows, row)}
            for row in ([chosen] if chosen else []) + others
        ],
        "bases": {row.setting: row for row in rows if row.name == BASE},
        "left_out": report["rows"][0].get("gauc_left_out") if report["rows"] else None,
        "pretrainings": list(_pretrainings(report, rows)),
        "comparisons": comparisons,
        "delong": any(comparison["delong_interval"] for comparison in comparisons),
        "families": any(comparison.get("family") for comparison in comparisons),
        "tests": any(comparison.get("test") for comparison in comparisons),
        "controls": shuffled,
        "popularity": report_controls.popularity(report),
        "gains": gain_charts(rows, chosen, shuffled),
        "item_counts": {name: _count(report, name) for name in ("item_new", "item_known")},
        "slices": slice_groups(report, chosen, base, others, rows),
        "slice_protocols": [figures.protocol_text(row.protocol) for row in others],
        "best": report.get("best_possible"),
        "oracles": [
            row
            for row in rows
            if row.role == "oracle"
            and row.auc is not None
            and chosen
            and row.setting == chosen.setting
        ],
        "gaps": list(_gaps(report)),
        "reliability": reliability_plots(report, chosen),
        "gates": list(_gates(report, chosen)),
        "cost": _stages(cost),
        "cost_parts": cost.get("parts") or {},
        "peak_memory_mb": cost.get("peak_memory_mb"),
        "settings": [
            pair
            for name in ("dataset", "primary", "split", "settings")
            for pair in _flat(name, report.get(name))
        ],
    }


def _best_other(
    report: Mapping[str, Any], rows: list[TableRow], row: TableRow
) -> dict[str, Any] | None:
    other, found = best_other(report, rows, row)
    if other is None or found is None:
        return None
    difference, ci95 = found["difference"], figures.interval(found)
    return {"name": other.name, "difference": difference, "ci95": ci95}


def _pretrainings(
    report: Mapping[str, Any], rows: list[TableRow]
) -> Iterator[tuple[TableRow, int, float | None, int]]:
    """Yield (row, pre-training seed, mean AUC, runs) where a row is of several pre-trainings."""
    for row in rows:
        if row.pretrain_seeds > 1:
            areas: dict[int, list[Any]] = {}
            for run in runs_of(report, row):
                areas.setdefault(run.get("pretrain_seed", 0), []).append(run.get("auc"))
            for seed, group in sorted(areas.items()):
                yield row, seed, figures.mean(group), len(group)


def _comparisons(report: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for comparison in report.get("comparisons") or []:
        delong = comparison.get("delong") or {}
        yield {
            **comparison,
            "interval": figures.interval(comparison),
            "delong_interval": figures.interval(delong),
            "delong_p": delong.get("p_value"),
        }


def _count(report: Mapping[str, Any], name: str) -> int | None:
    for run in report["rows"]:
        if name in (run.get("slices") or {}):
            return run["slices"][name]["count"]
    return None


def _gaps(report: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield sim_score's clicked minus un-clicked means, with the overfitting alarm."""
    for embedding, gap in (report.get("sim_score_gap") or {}).items():
        seen, later = figures.number(gap["in_pretraining"]), figures.number(gap["later_train"])
        alarm = seen is not None and later is not None and seen > max(2 * later, 0.01)
        yield {"embedding": embedding, "alarm": alarm, **gap}


def _gates(report: Mapping[str, Any], chosen: TableRow | None) -> Iterator[dict[str, Any]]:
    """Yield a table of categories x gates for some models, the chosen one first."""
    models: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for gate in report.get("gates") or []:
        key = tuple(str(gate[n]) for n in ("embedding", "feature", "ranker", "protocol"))
        models.setdefault(key, []).append(gate)
    first = chosen and (chosen.embedding, chosen.feature, *chosen.setting)
    for key in sorted(models, key=lambda key: key != first)[:_MOST_MODELS]:
        names = list(dict.fromkeys(gate["gate"] for gate in models[key]))
        categories: dict[str, dict[str, Any]] = {}
        for gate in models[key]:
            defined = {name: figures.number(gate.get(name)) for name in ("value", "sd")}
            categories.setdefault(gate["category"], {})[gate["gate"]] = defined
        embedding, feature, ranker, protocol = key
        yield {
            "title": f"{embedding}/{feature}, {ranker}, {figures.protocol_text(protocol)}",
            "features": names,
            "rows": [
                {"category": category, "gates": [gates.get(name) for name in names]}
                for category, gates in list(categories.items())[:_MOST_GATED]
            ],
            "left_out": max(len(categories) - _MOST_GATED, 0),
        }


def _stages(cost: Mapping[str, Any]) -> list[dict[str, Any]]:
    seconds = cost.get("seconds") or {}
    longest = max([*seconds.values(), 1e-9])
    return [
        {"name": name, "seconds": value, "share": value / longest}
        for name, value in seconds.items()
    ]


def _flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(f"{name}.{key}", inner)
    elif value is not None:
        text = str(value)
        yield name, text if len(text) <= _LONGEST else text[:_LONGEST] + " …"
