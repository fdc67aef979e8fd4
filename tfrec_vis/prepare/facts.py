"""What the pipeline found out, and whether the data can be used."""

from __future__ import annotations

from typing import Any

from tfrec_vis.errors import InputError
from tfrec_vis.prepare.cuts import SPLITS
from tfrec_vis.prepare.images import NEEDS_TENSORFLOW_IO
from tfrec_vis.prepare.settings import PrepareSettings

Place = tuple[str, int, str]


class Facts:
    """Counts with the place of an example, and the cuts.

    Args:
        counts: lists of key (a list of words), number, and example place or None.
        cuts: timestamps.
    """

    def __init__(self, counts: list[list[Any]], cuts: list[int]) -> None:
        self.cuts = cuts
        self._numbers = {tuple(key): number for key, number, _ in counts}
        self._examples = {tuple(key): example for key, _, example in counts}

    def number(self, *key: str) -> int:
        """How many; 0 if none was seen."""
        return self._numbers.get(key, 0)

    def rejected(self, kind: str) -> dict[str, int]:
        """Reason -> number of rejected "interactions" or "items"."""
        return {
            key[2]: number
            for key, number in sorted(self._numbers.items())
            if key[:2] == (kind, "rejected")
        }

    def check(self, settings: PrepareSettings) -> None:
        """Whether enough is left, and nothing is lost.

        Raises:
            InputError: too many records are rejected, or a split is empty.
            RuntimeError: the counts do not add up: an error of the program.
        """
        for kind in ("items", "interactions"):
            self._check_kind(kind, settings)
        for split in ("pretrain", *SPLITS):
            if not self.number("splits", split, "clicks"):
                raise InputError(
                    f"the log has no clicks in its {split} part (it has "
                    f"{sum(self.number('splits', name, 'clicks') for name in SPLITS)} in all, "
                    f"cut at {list(settings.splits)} of them in time order); give a longer log, "
                    "or set prepare.splits"
                )

    def _check_kind(self, kind: str, settings: PrepareSettings) -> None:
        read, kept = self.number(kind, "read"), self.number(kind, "kept")
        reasons = self.rejected(kind)
        total = sum(reasons.values())
        if read != kept + self.number(kind, "merged") + total:
            raise RuntimeError(
                f"{kind}: {read} read, but {kept} kept, {self.number(kind, 'merged')} merged "
                f"and {total} rejected"
            )
        if NEEDS_TENSORFLOW_IO in reasons:
            raise InputError(
                f"{reasons[NEEDS_TENSORFLOW_IO]} pictures are WebP, TIFF or AVIF (the first: "
                f"{self._place(kind, NEEDS_TENSORFLOW_IO)}), and tensorflow-io, which reads "
                "them, does not load; install the version for this TensorFlow "
                "(tensorflow-io 0.37.1 for TensorFlow 2.16)"
            )
        if total > settings.max_rejected * read:
            reason = max(reasons, key=lambda name: (reasons[name], name))
            raise InputError(
                f"{total} of {read} {kind} are rejected, most of them ({reasons[reason]}) as "
                f"{reason}, such as {self._place(kind, reason)}; mend the data, or raise "
                f"prepare.max_rejected (now {settings.max_rejected})"
            )
        if not kept:
            raise InputError(f"no {kind} are left of {read} read; check the source")

    def _place(self, kind: str, reason: str) -> str:
        source, _, line = self._examples[kind, "rejected", reason]
        return f"{source}:{line}"
