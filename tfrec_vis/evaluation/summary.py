"""What a report says, in sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tfrec_vis.evaluation.figures import (
    change_text,
    decimal,
    interval,
    points,
    protocol_text,
)
from tfrec_vis.evaluation.results_table import (
    TableRow,
    base_of,
    best_other,
    other_protocols,
    primary_row,
    table,
)

_SHARES = {0.5: "half", 1 / 3: "third", 0.25: "quarter", 0.2: "fifth", 0.1: "tenth"}


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
    chosen = primary_row(rows)
    base = chosen and base_of(rows, chosen)
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
    digits = 3 if abs(chosen.difference) >= 0.01 else 4
    before, after = decimal(base.auc, digits), decimal(chosen.auc, digits)
    low, high = chosen.ci95
    change = f"{change_text(chosen.difference, chosen.ci95, chosen.p_value)} {where}."
    if chosen.p_value < 0.05 and (low > 0 or high < 0):
        verb = "raise" if low > 0 else "lower"
        return f"{photos} {verb} AUC from {before} to {after}, {change}"
    return f"{photos} make no measurable difference: AUC {before} without, {after} with, {change}"


def shuffled(report: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the comparisons of shuffled images with no image, one for each protocol."""
    controls = report.get("controls") or {}
    return [c for name, c in controls.items() if name.startswith("shuffled_images") and c]


def warning(report: Mapping[str, Any]) -> str | None:
    """Return the line that a report must begin with, if shuffled images show a gain."""
    gains = [(c, ci95) for c in shuffled(report) if (ci95 := interval(c)) and ci95[0] > 0]
    if not gains:
        return None
    control, ci95 = gains[0]
    return (
        f"Warning: shuffled photos raise AUC too, by {points(control['difference'], 2)} points "
        f"(95 % interval {points(ci95[0], 2)} to {points(ci95[1], 2)}). They say nothing about "
        "the product, so the gains below are not due to the photos alone: do not rely on them."
    )


def sentences(report: Mapping[str, Any]) -> list[str]:
    """Say what a reader of the verdict has to know besides, where the report has it.

    Returns:
        The gain in each protocol; COURIER against the best other pre-training.
    """
    rows = table(report)
    chosen = primary_row(rows)
    if chosen is None or chosen.embedding == "none":
        return []
    return [line for line in (_protocols(rows, chosen), _best(report, rows, chosen)) if line]


def _protocols(rows: list[TableRow], chosen: TableRow) -> str | None:
    both = {row.protocol: row for row in (chosen, *other_protocols(rows, chosen))}
    if "scratch" not in both:
        return None
    if len(both) == 1:
        return (
            "The rankers were trained from scratch, which exaggerates what photos add to a ranker "
            "that has been learning for long; warm start was not tried."
        )
    gains = "; ".join(
        f"{protocol_text(name)}: {change_text(row.difference, row.ci95, row.p_value)}"
        for name, row in both.items()
    )
    return (
        f"{gains[0].upper()}{gains[1:]}. From scratch tends to exaggerate: a ranker that "
        "has learnt long without photos, as under warm start and in a running shop, has less "
        "left to gain."
    )


def _best(report: Mapping[str, Any], rows: list[TableRow], chosen: TableRow) -> str | None:
    other, found = best_other(report, rows, chosen)
    if other is None:
        return None
    change = "not compared"
    if found:
        change = change_text(found["difference"], interval(found), found.get("p_value"))
    return (
        f"Against the best other pre-training ({other.embedding}, {other.feature}, AUC "
        f"{decimal(other.auc)}): {change}."
    )


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
