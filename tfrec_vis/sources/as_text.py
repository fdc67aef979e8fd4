"""Typed values (Parquet, JSON) as the text that the contract speaks of."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal


def as_text(value: object, timestamp_format: str = "iso") -> str | None:
    """One value as text, so that the same id reads the same whatever its type.

    Integers and whole floats lose the fraction (``12.0``, as pandas writes an integer column
    with gaps, is ``"12"``), booleans are ``"1"`` and ``"0"``, NaN is no value, dates and times
    are given in ``timestamp_format`` (without a zone they count as UTC).

    Args:
        value: a scalar, or a list or mapping (given as JSON).
        timestamp_format: how dates and times are written.

    Returns:
        The text, or None for no value.

    Raises:
        UnicodeError: bytes that are no UTF-8, or a text with an unpaired surrogate.
    """
    match value:
        case None | str():
            text = value
        case bool():
            text = str(int(value))
        case float() | Decimal():
            text = _number(value)
        case dt.datetime():
            text = _time(value, timestamp_format)
        case dt.date():
            text = _time(dt.datetime.combine(value, dt.time()), timestamp_format)
        case bytes():
            text = value.decode("utf-8")
        case list() | dict():
            text = json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
        case _:
            text = str(value)
    if text is not None and not text.isascii():
        text.encode("utf-8")
    return text


def _number(value: float | Decimal) -> str | None:
    if value != value:
        return None
    if value in (float("inf"), float("-inf")) or value != int(value):
        return str(value)
    return str(int(value))


def _time(value: dt.datetime, timestamp_format: str) -> str:
    if value.tzinfo is None:
        value = value.replace(tzinfo=dt.timezone.utc)
    if timestamp_format == "iso":
        return value.isoformat()
    if "%" in timestamp_format:
        return value.astimezone(dt.timezone.utc).strftime(timestamp_format)
    since = value - dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
    unit = (
        dt.timedelta(seconds=1) if timestamp_format == "seconds" else dt.timedelta(milliseconds=1)
    )
    return str(since // unit)
