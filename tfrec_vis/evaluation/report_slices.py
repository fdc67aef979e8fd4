"""A report's gain by parts of the test rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tfrec_vis.evaluation.results_table import TableRow, base_of, runs_of, slice_auc

_MOST = 20
_FOLDED = 8
"""Groups of more parts than so many are folded away."""
_ITEMS = {"item_new": "new products", "item_known": "known products"}
_GROUPS = {
    "item": ("Product", "New and known products"),
    "popularity": ("Clicks of the product", "By popularity of the product"),
    "activity": ("Clicks of the user", "By activity of the user"),
    "category": ("Category", "By category"),
}
_ORDER = list(_GROUPS)


def slice_groups(
    report: Mapping[str, Any],
    chosen: TableRow | None,
    base: TableRow | None,
    others: Sequence[TableRow],
    rows: Sequence[TableRow],
) -> list[dict[str, Any]]:
    """Return the chosen row's gain by parts, grouped by what the parts are of.

    Keys of `slices` are item_new, item_known and GROUP=VALUE, such as popularity=5-19. Items,
    popularity and activity come first, in the report's order; other parts with the most rows first,
    at most 20 of a group.

    Args:
        report: as in DESIGN 3.4.
        chosen, base: the chosen row and that without images.
        others: the chosen row in other protocols.
        rows: all rows.

    Returns:
        Groups of title, heading, folded, left_out and rows: name, count, AUC without and with,
        gain, gains of `others`, and where the gain's bar lies in 0 to 100.
    """
    if chosen is None or base is None:
        return []
    of_chosen, of_base = runs_of(report, chosen), runs_of(report, base)
    pairs = [
        (runs_of(report, b) if (b := base_of(rows, o)) else [], runs_of(report, o)) for o in others
    ]
    parts = of_chosen[0].get("slices") or {}
    groups: dict[str, list[dict[str, Any]]] = {}
    for key, part in parts.items():
        group, _, name = key.partition("=")
        if key in _ITEMS:
            group, name = "item", _ITEMS[key]
        without, with_ = slice_auc(of_base, key), slice_auc(of_chosen, key)
        groups.setdefault(group, []).append(
            {
                "name": name,
                "count": part["count"],
                "without": without,
                "with": with_,
                "gain": _gain(without, with_),
                "others": [_gain(slice_auc(b, key), slice_auc(o, key)) for b, o in pairs],
            }
        )
    largest = max((abs(p["gain"] or 0) for g in groups.values() for p in g), default=0)
    result = []
    for group in sorted(groups, key=lambda name: _ORDER.index(name) if name in _ORDER else 99):
        members = groups[group]
        shown = members
        if group not in ("item", "popularity", "activity"):
            shown = sorted(members, key=lambda part: -part["count"])[:_MOST]
        for part in shown:
            part["bar"] = _bar(part["gain"], largest)
        title, heading = _GROUPS.get(group, (group, f"By {group}"))
        result.append(
            {
                "title": title,
                "heading": heading,
                "folded": len(members) > _FOLDED,
                "left_out": len(members) - len(shown),
                "rows": shown,
            }
        )
    return result


def _gain(without: float | None, with_: float | None) -> float | None:
    return None if without is None or with_ is None else with_ - without


def _bar(gain: float | None, largest: float) -> tuple[float, float] | None:
    """Left end and width of a bar from the middle, 0 to 100."""
    if not gain:
        return None
    length = round(50 * abs(gain) / largest, 1)
    return (50.0 if gain > 0 else round(50 - length, 1)), length
