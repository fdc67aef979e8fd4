"""Naming what the user may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping

from tfrec_vis.errors import InputError

_SHOWN = 12


def nearest(name: str, known: Iterable[str]) -> str:
    """``"did you mean 'x'? "`` for the closest known name, else nothing."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)
    return f"did you mean {by_lower[close[0]]!r}? " if close else ""


def listed(names: Collection[str]) -> str:
    """The names with commas between, cut after a dozen."""
    shown = ", ".join(list(names)[:_SHOWN])
    return shown + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def refuse_unknown(config: Mapping[str, object], known: Collection[str], place: str) -> None:
    """Refuses keys that are not ``known``.

    Raises:
        InputError: with the place and the nearest known key.
    """
    for key in config:
        if key not in known:
            raise InputError(
                f"unknown key {place}.{key}; {nearest(str(key), known)}known: {listed(known)}"
            )
