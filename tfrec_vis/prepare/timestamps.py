"""Times of the log, as seconds since 1970."""

from __future__ import annotations

import math
import re
from datetime import date, datetime, timezone

END_OF_TIME = 4_102_444_800  # 2100-01-01
_LIKELY = 631_152_000  # 1990-01-01
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?")
"""Python's own numbers are more: 1_700_000_000, and digits of other scripts."""
_UNITS = {"seconds": 1, "milliseconds": 1000, "microseconds": 10**6, "nanoseconds": 10**9}


def seconds_since_1970(value: object, form: str) -> int:
    """Seconds since 1970, rounded down.

    Args:
        value: text, a number, or a date with or without a time.
        form: "seconds", "milliseconds", "iso", or a pattern of ``strptime``; UTC where no zone
            is given.

    Raises:
        ValueError: unreadable or not between 1970 and 2100; or, of milliseconds, before
            1970-02-18: all seconds until 2100, taken for milliseconds, fall there.
    """
    try:
        moment = _seconds(value, form)
    except (TypeError, OverflowError) as error:
        raise ValueError(str(error)) from None
    lowest = END_OF_TIME // 1000 + 1 if form == "milliseconds" else 0
    if not lowest <= moment < END_OF_TIME:
        raise ValueError("not between 1970 and 2100")
    return moment


def timestamp_advice(written: str, form: str, setting: str) -> str:
    """What mends a time that was not read in its form; empty where nothing is likely.

    Args:
        written: the time.
        form: what it was taken for.
        setting: the recipe's key of the form; empty if the source's layout fixes it.
    """
    likely = _likely_form(written)
    if likely in ("", form):
        return ""
    seen = f"read as {form}, but {written!r} looks like {likely}"
    if likely in ("microseconds", "nanoseconds"):
        return f"{seen}: convert the column to seconds or milliseconds"
    if not setting:
        return f"{seen}: convert the column"
    return f"{seen}: set {setting} to {likely}"


def _likely_form(written: str) -> str:
    try:
        number = float(written)
    except ValueError:
        try:
            _seconds(written, "iso")
        except ValueError:
            return ""
        return "iso"
    return next((u for u, parts in _UNITS.items() if _LIKELY <= number / parts < END_OF_TIME), "")


def _seconds(value: object, form: str) -> int:
    if isinstance(value, date):  # a datetime is a date
        moment = value if isinstance(value, datetime) else datetime(*value.timetuple()[:3])
        return _utc(moment)
    if value is None or isinstance(value, bool):
        raise ValueError("no time")
    written = (value.decode() if isinstance(value, bytes) else str(value)).strip()
    if not written.isascii() and any(c.isdigit() and not c.isascii() for c in written):
        raise ValueError("digits other than 0 to 9")
    if form == "iso":
        if written.isdigit():  # newer Pythons would read 20240131 as a date, older ones not
            raise ValueError("a number is no date")
        return _utc(datetime.fromisoformat(written.replace("Z", "+00:00")))
    if "%" in form:
        return _utc(datetime.strptime(written, form))
    if not _NUMBER.fullmatch(written):
        raise ValueError("no number")
    number = int(written) if written.isdigit() else math.floor(float(written))
    return number // 1000 if form == "milliseconds" else number


def _utc(moment: datetime) -> int:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return math.floor(moment.timestamp())
