"""Checks of single raw rows: what is kept as which typed value, what is rejected and why."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import NamedTuple

from tfrec_vis.prepare.timestamps import seconds_since_1970

EXCERPT_LENGTH = 200
_KEYS = ("user_id", "item_id", "timestamp", "clicked", "seen", "image")
_TRUTH = {"true": "1", "false": "0"}


class Reject(Exception):
    """A record cannot be used.

    Args:
        reason: the slug counted in the manifest.
        seen: what the record does not show of itself, for the list of rejects.
    """

    def __init__(self, reason: str, seen: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.seen = seen


class Row(NamedTuple):
    """One log row of a user, or one sampled un-clicked item."""

    timestamp: int
    page_id: str
    item_id: str
    clicked: int
    context: tuple[str, ...] = ()


def text(value: object) -> str:
    """The value as text; "" for None and NaN.

    Raises:
        Reject: the value is not valid UTF-8.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    try:
        result = value.decode() if isinstance(value, bytes) else str(value)
        result.encode()  # lone surrogates, as JSON can spell them, cannot be stored
    except UnicodeError:
        raise Reject("not_utf8") from None
    return result


def identifier(value: object, reason: str) -> str:
    """The id as text, leading zeros and all.

    Raises:
        Reject: with this reason, if there is none.
    """
    result = text(value)
    if not result.strip():
        raise Reject(reason)
    return result


def clicked(value: object) -> int:
    """0 or 1, also where it is written true or false.

    Raises:
        Reject: ``bad_clicked``: anything else.
    """
    written = text(value).strip().lower()
    try:
        number = float(_TRUTH.get(written, written))
    except ValueError:
        number = math.nan
    if number not in (0.0, 1.0):
        raise Reject("bad_clicked")
    return int(number)


def interaction(
    values: Mapping[str, object], form: str, has_labels: bool, context: tuple[str, ...]
) -> tuple[str, Row]:
    """The user and the typed row of one raw interaction.

    Where no page is given, what a user saw at one moment is one page: ``USER@TIMESTAMP``.

    Raises:
        Reject: an id, the time or the label is missing or unreadable.
    """
    user = identifier(values.get("user_id"), "missing_user_id")
    item = identifier(values.get("item_id"), "missing_item_id")
    try:
        moment = seconds_since_1970(values.get("timestamp"), form)
    except ValueError:
        raise Reject("bad_timestamp") from None
    label = clicked(values.get("clicked")) if has_labels else 1
    page = text(values.get("page_id")) or f"{user}@{moment}"
    return user, Row(moment, page, item, label, tuple(text(values.get(name)) for name in context))


def excerpt(values: Mapping[str, object]) -> str:
    """The row as short readable text, for the list of rejects."""
    if "excerpt" in values:
        shown = str(values["excerpt"])
    else:
        shown = json.dumps(
            {
                name: _printable(values[name])
                for name in sorted(values, key=_keys_first)
                if values[name] is not None
            },
            ensure_ascii=False,
            default=str,
        )
    return shown[:EXCERPT_LENGTH].encode(errors="replace").decode()


def _keys_first(name: str) -> int:
    """What tells one record from another is not what is cut off."""
    return _KEYS.index(name) if name in _KEYS else len(_KEYS)


def _printable(value: object) -> object:
    return f"<{len(value)} bytes>" if isinstance(value, bytes) else value
