"""The error of an encoder's weights."""

from __future__ import annotations


class WeightsError(ValueError):
    """An encoder's weights are not there, or not its own; the encoder could be built."""
