"""What a report says, in sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tfrec_vis.evaluation.figures import change_text, decimal, interval
from tfrec_vis.evaluation.report_controls import warnings
from tfrec_vis.evaluation.results_table import (
    CLICK_TRAINED,
    TableRow,
    base_of,
    best_other,
    other_protocols,
    primary_row,
    table,
)

_SHARES = {0.5: "half", 1 / 3: "third", 0.25: "quarter", 0.2: "fifth", 0.1: "tenth"}
_UNDER = {"scratch": "from scratch", "warm_start": "under warm start"}


def verdict(report: Mapping[str, Any]) -> str:
    """Say in one sentence what photos did to AUC in the primary comparison.

    Args:
        report: as in DESIGN 3.4; `split["fractions"]`, the three time cuts as shares of the
            clicks, names the test rows.

    Returns:
        A sentence: a gain or a loss where the 95 % interval leaves out 0 and p < 0.05, "no
        measurable difference" otherwise. It names the protocol where there are several.
    """
    rows = table(report)
    chosen = primary_row(rows)
    base = chosen and base_of(rows, chosen)
    where = f"on {_test_rows(report)}"
    if chosen is None or base is None or chosen.auc is None or base.auc is None:
        return f"The effect of product photos on AUC is undefined {where}: too few rows or runs."
    photos = "Product photos"
    if len({row.protocol for row in rows}) > 1:
        photos = f"{_opening(chosen.protocol)}, product photos"
    if chosen.embedding in CLICK_TRAINED:
        photos += " pre-trained on clicks"
    return f"{_effect(f'{photos} ({chosen.embedding}, {chosen.feature})', base, chosen)} {where}."


def warning(report: Mapping[str, Any]) -> str | None:
    """Return what a report must begin with: shuffled images gain, or popularity alone tells."""
    return " ".join(warnings(report)) or None


def sentences(report: Mapping[str, Any]) -> list[str]:
    """Say what a reader of the verdict has to know besides, where the report has it.

    Returns:
        The gain in other protocols; the recipe's method against the best other pre-training.
    """
    rows = table(report)
    chosen = primary_row(rows)
    if chosen is None:
        return []
    return [line for line in (_protocols(rows, chosen), _best(report, rows, chosen)) if line]


def _opening(protocol: str) -> str:
    under = _UNDER.get(protocol, protocol)
    return under[0].upper() + under[1:]


def _effect(photos: str, base: TableRow, row: TableRow) -> str:
    if row.difference is None or row.ci95 is None or row.p_value is None:
        before, after = decimal(base.auc, 3), decimal(row.auc, 3)
        return f"{photos}: AUC {before} without, {after} with, untested,"
    digits = 3 if abs(row.difference) >= 0.01 else 4
    before, after = decimal(base.auc, digits), decimal(row.auc, digits)
    change = change_text(row.difference, row.ci95, row.p_value)
    low, high = row.ci95
    if row.p_value < 0.05 and (low > 0 or high < 0):
        return f"{photos} {'raise' if low > 0 else 'lower'} AUC from {before} to {after}, {change}"
    return f"{photos} make no measurable difference: AUC {before} without, {after} with, {change}"


def _protocols(rows: list[TableRow], chosen: TableRow) -> str | None:
    others = other_protocols(rows, chosen)
    both = {row.protocol: row for row in (chosen, *others)}
    if list(both) == ["scratch"]:
        return (
            "The rankers were trained from scratch; warm start was not tried: photos may add less "
            "to a ranker that has been trained without them."
        )
    lines = []
    for row in others:
        if base := base_of(rows, row):
            effect = _effect(f"{_opening(row.protocol)} photos", base, row)
            lines.append(f"{effect.removesuffix(',')}.")
    if warm := both.get("warm_start"):
        lines.append(
            "Warm start: a ranker is trained without images, on the same rows, until validation "
            "stops improving; then it is trained on, once with photos and once without."
        )
        base = base_of(rows, warm)
        if base and warm.unchanged is not None and base.unchanged is not None:
            lines.append(
                "Runs that kept the ranker they began with, as no epoch was better on validation "
                f"rows: {warm.unchanged} of {warm.seeds} with photos, {base.unchanged} of "
                f"{base.seeds} without."
            )
    if _is_exaggerated(both.get("scratch"), both.get("warm_start")):
        lines.append(
            "The gain from scratch is measurably larger: it exaggerates what photos add to a "
            "ranker that has been trained without them."
        )
    return " ".join(lines) or None


def _is_exaggerated(scratch: TableRow | None, warm: TableRow | None) -> bool:
    """Whether the intervals of both gains lie apart."""
    if scratch is None or warm is None or scratch.ci95 is None or warm.ci95 is None:
        return False
    return scratch.ci95[0] > max(warm.ci95[1], 0)


def _best(report: Mapping[str, Any], rows: list[TableRow], chosen: TableRow) -> str | None:
    parts = []
    others = other_protocols(rows, chosen)
    for row in (chosen, *others):
        other, found = best_other(report, rows, row)
        if other is None:
            continue
        name = f"{other.embedding}, {other.feature}"
        if other.auc is not None:
            name += f" with AUC {decimal(other.auc)}"
        part = f"not compared ({name})"
        if found:
            tested = (found.get("p_value"), found.get("p_holm"))
            part = change_text(found["difference"], interval(found), *tested, over=name)
        parts.append(f"{_UNDER.get(row.protocol, row.protocol)} {part}" if others else part)
    if not parts:
        return None
    return f"Against the best other pre-training, chosen on validation rows: {'; '.join(parts)}."


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
