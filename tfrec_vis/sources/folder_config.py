"""Settings of the sources that know a data set's layout."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

from tfrec_vis.errors import InputError
from tfrec_vis.sources.files import join
from tfrec_vis.sources.nearest import refuse_unknown


def folder_of(config: Mapping[str, object], base: str, known: Collection[str], holds: str) -> str:
    """The folder ``source.path``, counted from ``base``.

    Args:
        config: the recipe's ``source`` section.
        base: folder that a relative path counts from.
        known: keys that the section may have besides ``kind`` and ``path``.
        holds: what is in the folder, for the message.

    Raises:
        InputError: an unknown key, or no path.
    """
    refuse_unknown(config, ("kind", "path", *known), "source")
    path = config.get("path")
    if not isinstance(path, str) or not path:
        raise InputError(f"source.path is missing; set it to the folder of {holds}")
    return join(base, path)


def text_setting(config: Mapping[str, object], key: str, default: str | None = None) -> str:
    """The text ``source.KEY``.

    Raises:
        InputError: it is missing and has no default, or is no text.
    """
    if key not in config and default is None:
        raise InputError(f"source.{key} is missing; set it to a file name or wildcard")
    value = config.get(key, default)
    if not isinstance(value, str) or not value:
        raise InputError(f"source.{key} must be a file or folder name, got {value!r}")
    return value


def click_rating(config: Mapping[str, object], default: float | None) -> float | None:
    """The lowest rating that counts as a click; None: every row is a click.

    Raises:
        InputError: it is no number.
    """
    value = config.get("click_rating", default)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"source.click_rating must be a number such as 4, got {value!r}")
    return float(value)
