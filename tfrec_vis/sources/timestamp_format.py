"""The forms of a log's times, as a recipe names them."""

from __future__ import annotations

from datetime import datetime

from tfrec_vis.errors import InputError
from tfrec_vis.sources.nearest import listed, nearest

_KNOWN = ("seconds", "milliseconds", "iso")
_SAMPLE = datetime(2019, 11, 11, 9, 5, 58)


def timestamp_format(value: object, place: str) -> str:
    """``value`` if it is "seconds", "milliseconds", "iso" or a pattern of ``strptime``.

    Raises:
        InputError: it is something else, or a pattern without year, month and day.
    """
    if isinstance(value, str) and "%" in value:
        try:
            if datetime.strptime(_SAMPLE.strftime(value), value).date() == _SAMPLE.date():
                return value
        except ValueError:
            pass
        raise InputError(
            f"{place} is {value!r}, which is no pattern of a date; write one such as "
            "'%m/%d/%Y %I:%M:%S %p'"
        )
    if value not in _KNOWN:
        raise InputError(
            f"{place} is {value!r}; {nearest(str(value), _KNOWN)}known: {listed(_KNOWN)}, or a "
            "pattern such as '%d.%m.%Y %H:%M'"
        )
    return str(value)
