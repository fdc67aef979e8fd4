"""Names of the visual features, alone and joined."""

from __future__ import annotations

import difflib

FEATURES = ("none", "vector", "sim_score", "cluster_id", "sim_tier", "semantic_id")
"""How a ranker may see the pictures; ``parse_features`` reads several joined by "+"."""


def parse_features(name: str) -> tuple[str, ...]:
    """The visual features that a name stands for.

    Args:
        name: "none", one of ``FEATURES``, or several of them joined by "+", in their order.

    Returns:
        The single names; none for "none".

    Raises:
        ValueError: no such name; features twice, in another order or beside "none".

    Example:
        >>> parse_features("sim_score+cluster_id"), parse_features("none")
        (('sim_score', 'cluster_id'), ())
    """
    single = FEATURES[1:]
    if name == "none":
        return ()
    parts = tuple(part.strip() for part in name.split("+"))
    unknown = [part for part in parts if part not in single]
    if unknown and not (unknown == ["none"] and len(parts) > 1):
        close = difflib.get_close_matches(unknown[0].lower(), FEATURES, n=1, cutoff=0.5)
        meant = f"did you mean {close[0]!r}? " if close else ""
        raise ValueError(
            f"unknown feature {unknown[0]!r}; {meant}expected {', '.join(FEATURES)}, or several "
            'joined by "+"'
        )
    ordered = tuple(feature for feature in single if feature in parts)
    if parts != ordered:
        raise ValueError(
            f"expected features once each and in order, {'+'.join(ordered)!r}, got {name!r}"
        )
    return ordered
