"""Sources by their name in the recipe."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tfrec_vis.errors import InputError
from tfrec_vis.sources.amazon import AmazonSource
from tfrec_vis.sources.hm import HmSource
from tfrec_vis.sources.impressions import ImpressionsSource
from tfrec_vis.sources.movielens import MovieLensSource
from tfrec_vis.sources.nearest import listed, nearest
from tfrec_vis.sources.pixelrec import PixelRecSource
from tfrec_vis.sources.source import Source
from tfrec_vis.sources.table import TableSource

_SOURCES: dict[str, Callable[[Mapping[str, object], str], Source]] = {
    "hm": HmSource,
    "movielens": MovieLensSource,
    "pixelrec": PixelRecSource,
    "amazon": AmazonSource,
    "impressions": ImpressionsSource,
    "table": TableSource,
}


def create(config: Mapping[str, object], base: str) -> Source:
    """The source that a recipe's ``source`` section describes; no file need exist yet.

    Args:
        config: the section, with ``kind`` and the keys of that kind.
        base: folder that relative paths count from.

    Raises:
        InputError: an unknown kind or key, or a wrong type.
    """
    if not isinstance(config, Mapping):
        raise InputError(f"source must be a mapping with kind, got {config!r}")
    kind = config.get("kind")
    if not isinstance(kind, str) or kind not in _SOURCES:
        raise InputError(
            f"source.kind is {kind!r}; {nearest(str(kind), _SOURCES)}known: {listed(_SOURCES)}"
        )
    return _SOURCES[kind](config, base)
