"""How many rejected records are borne."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from tfrec_vis.errors import InputError
from tfrec_vis.prepare.reasons import REASONS

_DEFAULT = "default"
_SHARE = 0.1


def check_allowance(allowed: object) -> None:
    """Whether ``prepare.max_rejected`` is a share, or a mapping of reasons to shares.

    Raises:
        InputError: it is not, or names an unknown reason.
    """
    shares = allowed if isinstance(allowed, Mapping) else {"": allowed}
    for reason, share in shares.items():
        name = f"prepare.max_rejected.{reason}".rstrip(".")
        if reason not in ("", _DEFAULT, *REASONS):
            near = difflib.get_close_matches(str(reason), [_DEFAULT, *REASONS], n=1, cutoff=0)
            raise InputError(f"{name}: unknown reason; did you mean {near[0]}?")
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
            raise InputError(f"{name}: expected a share from 0 to 1, got {share!r}")


def too_many(
    rejected: Mapping[str, int], read: int, allowed: float | Mapping[str, float]
) -> dict[str, int]:
    """The rejects that are more than is borne; empty if all are borne.

    A single share is for all reasons together. In a mapping, each reason has its own share, and
    ``default`` (0.1 where it is missing) is for all the others together.

    Args:
        rejected: reason -> number.
        read: how many records there were.
        allowed: share, or reason -> share.
    """
    if not isinstance(allowed, Mapping):
        allowed = {_DEFAULT: allowed}
    for reason, number in rejected.items():
        if reason in allowed and number > allowed[reason] * read:
            return {reason: number}
    others = {reason: number for reason, number in rejected.items() if reason not in allowed}
    return others if sum(others.values()) > allowed.get(_DEFAULT, _SHARE) * read else {}
