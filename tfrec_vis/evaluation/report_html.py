"""The report as one HTML page that needs nothing else."""

from __future__ import annotations

import base64
import math
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tfrec_vis.evaluation import figures, summary
from tfrec_vis.evaluation.gallery import Gallery, Picture
from tfrec_vis.evaluation.summary import TableRow

_MOST_CATEGORIES = 20


def render_report(report: Mapping[str, Any], gallery: Gallery | None, path: Path) -> None:
    """Write the report as a self-contained page: styles, charts and pictures are inside.

    Everything that comes from data is escaped, and the page's own policy forbids scripts and
    loading from anywhere. It is written beside and renamed: no reader sees half of it.

    Args:
        report: as in DESIGN 3.4; read as well where present: `split["fractions"]` (the cuts as
            shares of the clicks), `settings` (any mapping), `sim_score_gap` ({embedding:
            {"in_pretraining", "later_train", "test"}}, mean sim_score of clicked minus
            un-clicked rows).
        gallery: the pictures; None leaves them out.
        path: the file to write.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in ("decimal", "points", "interval_text", "p_cell", "p_text"):
        environment.filters[name] = getattr(figures, name)
    environment.filters.update(data_uri=_data_uri, duration=_duration)
    page = environment.get_template("report.html.j2").render(**_view(report), gallery=gallery)
    _write(path, page)


def _view(report: Mapping[str, Any]) -> dict[str, Any]:
    rows = summary.table(report)
    chosen = next((row for row in rows if row.primary), None)
    base = next(
        (
            row
            for row in rows
            if chosen
            and (row.name, row.ranker, row.protocol)
            == (summary.BASE, chosen.ranker, chosen.protocol)
        ),
        None,
    )
    control = (report.get("controls") or {}).get("shuffled_images")
    return {
        "warning": summary.warning(report),
        "verdict": summary.verdict(report),
        "rows": rows,
        "several": len({(row.ranker, row.protocol) for row in rows}) > 1,
        "chosen": chosen,
        "base": base,
        "bases": {(r.ranker, r.protocol): r for r in rows if r.name == summary.BASE},
        "control": control,
        "control_ci95": figures.interval(control or {}),
        "gains": _gain_chart(rows, chosen, control),
        "item_counts": {name: _count(report, name) for name in ("item_new", "item_known")},
        "categories": list(_categories(report, chosen, base)),
        "best": report.get("best_possible"),
        "others": [
            {**comparison, "interval": figures.interval(comparison)}
            for comparison in report.get("comparisons") or []
            if (comparison["b"], comparison["metric"]) != (summary.BASE, "auc")
        ],
        "gaps": list(_gaps(report)),
        "seconds": (report.get("cost") or {}).get("seconds") or {},
        "peak_memory_mb": (report.get("cost") or {}).get("peak_memory_mb"),
        "settings": [
            pair
            for name in ("dataset", "primary", "split", "settings")
            for pair in _flat(name, report.get(name))
        ],
    }


def _gain_chart(
    rows: list[TableRow], chosen: TableRow | None, control: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    """Return the bars and ticks of the gains, positions in % of the width."""
    bars = [
        (row.name, row.difference, row.ci95, "chosen" if row.primary else row.role)
        for row in rows
        if row.difference is not None
        and chosen is not None
        and (row.ranker, row.protocol) == (chosen.ranker, chosen.protocol)
    ]
    if control and (difference := figures.number(control["difference"])) is not None:
        bars.append(("shuffled photos", difference, figures.interval(control), "control"))
    if not bars:
        return None
    values = [0.0]
    for _, difference, ci95, _ in bars:
        values += [difference, *(ci95 or ())]
    ticks = _ticks(100 * min(values), 100 * max(values))
    low, high = ticks[0], ticks[-1]

    def place(share: float) -> float:
        return round(2 + 96 * (100 * share - low) / (high - low), 2)

    return {
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
            for name, difference, ci95, kind in bars
        ],
    }


def _ticks(low: float, high: float) -> list[float]:
    """Return round positions from at most `low` to at least `high`, three to seven of them."""
    span = max(high - low, 0.1)
    unit = 10 ** math.floor(math.log10(span / 4))
    step = next(unit * m for m in (1, 2, 5, 10) if span / (unit * m) <= 5)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [step * tick for tick in range(first, max(last, first + 2) + 1)]


def _count(report: Mapping[str, Any], name: str) -> int | None:
    for run in report["rows"]:
        if name in (run.get("slices") or {}):
            return run["slices"][name]["count"]
    return None


def _categories(
    report: Mapping[str, Any], chosen: TableRow | None, base: TableRow | None
) -> Iterator[dict[str, Any]]:
    """Yield the largest categories with their AUC without images and in the chosen row."""
    if chosen is None or base is None:
        return

    def runs_of(row: TableRow) -> list[Mapping[str, Any]]:
        keys = ("embedding", "feature", "ranker", "protocol")
        return [r for r in report["rows"] if all(r[k] == getattr(row, k) for k in keys)]

    of_chosen, of_base = runs_of(chosen), runs_of(base)
    slices = of_chosen[0].get("slices") or {}
    names = [name for name in slices if name.startswith("category=")]
    for name in sorted(names, key=lambda n: -slices[n]["count"])[:_MOST_CATEGORIES]:
        without, with_ = summary.slice_auc(of_base, name), summary.slice_auc(of_chosen, name)
        yield {
            "name": name.removeprefix("category="),
            "count": slices[name]["count"],
            "without": without,
            "with": with_,
            "gain": None if without is None or with_ is None else with_ - without,
        }


def _gaps(report: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield sim_score's clicked minus un-clicked means, with the overfitting alarm."""
    for embedding, gap in (report.get("sim_score_gap") or {}).items():
        seen, later = figures.number(gap["in_pretraining"]), figures.number(gap["later_train"])
        alarm = seen is not None and later is not None and seen > max(2 * later, 0.01)
        yield {"embedding": embedding, "alarm": alarm, **gap}


def _flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(f"{name}.{key}", inner)
    elif value is not None:
        yield name, str(value)


def _data_uri(picture: Picture) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(picture.jpeg).decode("ascii")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{seconds:.1f} s"


def _write(path: Path, text: str) -> None:
    path = Path(path)
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(beside, 0o644)
        os.replace(beside, path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
