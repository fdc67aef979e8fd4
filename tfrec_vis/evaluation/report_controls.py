"""What a report's controls say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tfrec_vis.evaluation.figures import decimal, interval, number, points
from tfrec_vis.evaluation.results_table import TableRow, other_protocols, primary_row, table

MOST_POPULARITY = 0.6
"""AUC above which popularity alone says too much about sampled un-clicked rows."""


def shuffled(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the comparisons of shuffled images with no image, one for each protocol.

    Returns:
        Of each its fields with `ci95` as a pair or None; `judgement`, a sentence; `alarm`, whether
        shuffled images gain; `real`, the primary row minus shuffled images as `difference`, `ci95`
        and `p_value`, or None where that was not compared.
    """
    rows = table(report)
    chosen = primary_row(rows)
    claimed = {}
    if chosen is not None:
        claimed = {row.protocol: row.ci95 for row in (chosen, *other_protocols(rows, chosen))}
    controls = report.get("controls") or {}
    found = []
    for name, control in controls.items():
        if name.startswith("shuffled_images") and control:
            ci95 = interval(control)
            found.append(
                {
                    **control,
                    "ci95": ci95,
                    "judgement": _judgement(ci95, claimed.get(control["protocol"])),
                    "alarm": ci95 is not None and ci95[0] > 0,
                    "real": _real(controls, control, chosen),
                }
            )
    return found


def _judgement(control: tuple[float, float] | None, claimed: tuple[float, float] | None) -> str:
    if control is None:
        return "The control is undefined."
    if control[0] > 0:
        return "This should not gain anything, and does."
    if claimed is not None and control[1] < claimed[0]:
        return (
            f"No gain, as it should be: at most {points(control[1], 2)} points, less than the "
            f"least of the claimed gain ({points(claimed[0], 2)})."
        )
    return (
        f"This cannot exclude that {points(control[1], 2)} points come from something else than "
        "what the photos show."
    )


def _real(
    controls: Mapping[str, Any], control: Mapping[str, Any], chosen: TableRow | None
) -> dict[str, Any] | None:
    """The primary row minus shuffled images, whichever of them the comparison names first."""
    for name, comparison in controls.items():
        if not name.startswith("shuffled_against_primary") or not comparison or not chosen:
            continue
        ci95, difference = interval(comparison), number(comparison["difference"])
        if comparison["protocol"] == control["protocol"] and difference is not None:
            if comparison["b"] == chosen.name:
                difference, ci95 = -difference, ci95 and (-ci95[1], -ci95[0])
            return {"difference": difference, "ci95": ci95, "p_value": comparison["p_value"]}
    return None


def popularity(report: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the control on popularity alone, or None.

    Returns:
        Its fields, None where an older report lacks them; `auc_ci95` and `ci95` as pairs; `alarm`,
        whether un-clicked rows are sampled and the whole interval of `auc` is above 0.6.
    """
    control = (report.get("controls") or {}).get("popularity_only")
    if not control:
        return None
    absent = dict.fromkeys(("auc", "auc_item_new", "sampled", "auc_frozen", "difference"))
    area = interval({"ci95": control.get("auc_ci95")})
    return {
        **absent,
        "features": [],
        **control,
        "auc_ci95": area,
        "ci95": interval(control),
        "alarm": bool(control.get("sampled")) and area is not None and area[0] > MOST_POPULARITY,
    }


def warnings(report: Mapping[str, Any]) -> Iterable[str]:
    """Yield what a report must begin with."""
    for control in shuffled(report):
        if control["alarm"]:
            low, high = control["ci95"]
            yield (
                "Warning: shuffled photos raise AUC too, by "
                f"{points(control['difference'], 2)} points (95 % interval {points(low, 2)} to "
                f"{points(high, 2)}). They say nothing about the product, so the gains below are "
                "not due to the photos alone: do not rely on them."
            )
            break
    alone = popularity(report)
    if alone and alone["alarm"]:
        low, high = alone["auc_ci95"]
        yield (
            "Warning: popularity alone, without user and photo, reads an AUC of "
            f"{decimal(alone['auc'], 3)} (95 % interval {decimal(low, 3)} to {decimal(high, 3)}) "
            "against sampled un-clicked rows, where it should be near 0.5. The way these were "
            "drawn gives the clicks away, and every ranker below can read it: do not rely on "
            "their AUC."
        )
