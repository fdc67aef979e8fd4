"""Adapters from raw layouts to interactions and a catalogue."""

from __future__ import annotations

from tfrec_vis.sources.registry import create
from tfrec_vis.sources.source import RawRow, Source

__all__ = ["RawRow", "Source", "create"]
