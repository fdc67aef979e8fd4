"""How ``prepare`` is run this time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tfrec_vis.errors import InputError
from tfrec_vis.prepare.timestamps import seconds_since_1970


@dataclass(frozen=True)
class PrepareOptions:
    """What a command says beside the recipe; no part of the stage's identity.

    Attributes:
        beam: flags of Beam.
        append: add the source's rows and items to the prepared data that are there.
        cuts: timestamps to which the cuts are moved then; None: they stay.
    """

    beam: tuple[str, ...] = ()
    append: bool = False
    cuts: tuple[int, ...] | None = None

    @classmethod
    def parse(cls, beam: Sequence[str], append: bool, cuts: str | None) -> PrepareOptions:
        """From a command's arguments; ``cuts`` are times, divided by commas.

        Raises:
            InputError: a cut is no time, or there is nothing to append to.
        """
        if cuts is None:
            return cls(tuple(beam), append)
        if not append:
            raise InputError("--cuts goes with --append; otherwise set prepare.splits")
        return cls(tuple(beam), append, tuple(map(_time, cuts.split(","))))


def _time(text: str) -> int:
    try:
        return seconds_since_1970(text, "seconds" if text.strip().isdigit() else "iso")
    except (ValueError, OverflowError):
        raise InputError(
            f"--cuts: {text!r} is no time; give three in seconds since 1970 or as 2024-01-31"
        ) from None
