"""What one preparation is to do."""

from __future__ import annotations

from typing import NamedTuple

from tfrec_vis.prepare.previous import Previous
from tfrec_vis.prepare.settings import PrepareSettings
from tfrec_vis.sources.source import Source


class Job(NamedTuple):
    """The input, output and settings of one preparation.

    Attributes:
        source: raw interactions and catalogue.
        out: folder, which exists and holds ``vocabulary``.
        settings: of the preparation.
        previous: prepared data to which the source's are added.
        cuts: timestamps; None: found by ``settings.splits``.
    """

    source: Source
    out: str
    settings: PrepareSettings
    previous: Previous | None = None
    cuts: tuple[int, ...] | None = None
