"""What the pipeline found out, and whether the data can be used."""

from __future__ import annotations

import re
from typing import Any

from tfrec_vis.errors import InputError
from tfrec_vis.prepare.allowance import too_many
from tfrec_vis.prepare.cuts import SPLITS
from tfrec_vis.prepare.images import NEEDS_TENSORFLOW_IO
from tfrec_vis.prepare.job import Job
from tfrec_vis.prepare.reasons import REASONS
from tfrec_vis.prepare.rejects import place_shard
from tfrec_vis.prepare.timestamps import timestamp_advice
from tfrec_vis.prepare.write import shard_name
from tfrec_vis.sources.source import Source

_TIMESTAMP = re.compile(r'"timestamp": "?([^"]*?)"?[,}]')


class Facts:
    """Counts with an example each, the cuts, the log's period, and the files written.

    Args:
        counts: lists of key (a list of words), number, and an example's file, length of its
            line's number, line and excerpt, or None.
        cuts: timestamps.
        period: first and last timestamp; None without rows.
        checksums: SHA-256 of each file, by its path in the prepared folder.
    """

    def __init__(
        self,
        counts: list[list[Any]],
        cuts: list[int],
        period: list[int] | None,
        checksums: dict[str, str],
    ) -> None:
        self.cuts = cuts
        self.period = period
        self.checksums = checksums
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

    def check(self, job: Job) -> None:
        """Whether enough is left, and nothing is lost.

        Args:
            job: of the preparation.

        Raises:
            InputError: too many records are rejected (of those added, where the job adds to
                previous data), none is left, or a split is empty.
            RuntimeError: the counts do not add up: an error of the program.
        """
        for kind in ("items", "interactions"):
            self._check_kind(kind, job)
        for split in ("pretrain", *SPLITS):
            if not self.number("splits", split, "clicks"):
                where, mend = (
                    f"{list(job.settings.splits)} of them in time order",
                    "set prepare.splits",
                )
                if job.cuts is not None:
                    where, mend = f"{list(job.cuts)}, in seconds", "move the cuts with --cuts"
                raise InputError(
                    f"the log has no clicks in its {split} part (it has "
                    f"{sum(self.number('splits', name, 'clicks') for name in SPLITS)} in all, "
                    f"cut at {where}); give a longer log, or {mend}"
                )

    def _check_kind(self, kind: str, job: Job) -> None:
        settings = job.settings
        read, kept = self.number(kind, "read"), self.number(kind, "kept")
        reasons = self.rejected(kind)
        total = sum(reasons.values())
        if read != kept + self.number(kind, "merged") + total:
            raise RuntimeError(
                f"{kind}: {read} read, but {kept} kept, {self.number(kind, 'merged')} merged "
                f"and {total} rejected"
            )
        if job.previous is not None:  # what is added is judged alone
            before = job.previous.manifest[kind]
            read -= before["read"]
            reasons = {
                reason: number - before["rejected"].get(reason, 0)
                for reason, number in reasons.items()
                if number > before["rejected"].get(reason, 0)
            }
            total = sum(reasons.values())
        if NEEDS_TENSORFLOW_IO in reasons:
            raise InputError(
                f"{reasons[NEEDS_TENSORFLOW_IO]} pictures are WebP, TIFF or AVIF (the first: "
                f"{self._place(kind, NEEDS_TENSORFLOW_IO)}), and tensorflow-io, which reads "
                "them, does not load; install the version for this TensorFlow "
                "(tensorflow-io 0.37.1 for TensorFlow 2.16)"
            )
        if excess := too_many(reasons, read, settings.max_rejected):
            reason = max(excess, key=lambda name: (excess[name], name))
            file, _, line, shown = self._examples[kind, "rejected", reason]
            shard = place_shard(file, line, settings.shards)
            evidence = shard_name(f"rejects-{kind}", "jsonl", shard, settings.shards)
            mend = _mend(reason, shown, job.source)
            bear = f"; or raise prepare.max_rejected (now {settings.max_rejected})"
            raise InputError(
                f"{sum(excess.values())} of {read} {kind} are rejected, most of them "
                f"({excess[reason]}) as {reason}, such as {file}:{line}: "
                f"{' '.join(shown.split())}; {mend}; they are listed in "
                f"{job.out.rstrip('/')}/{evidence} and the files beside it"
                f"{'' if total == read else bear}"
            )
        if not kept or read <= total:
            raise InputError(f"no {kind} are left of {read} read; check the source")

    def _place(self, kind: str, reason: str) -> str:
        file, _, line, _ = self._examples[kind, "rejected", reason]
        return f"{file}:{line}"


def _mend(reason: str, shown: str, source: Source) -> str:
    """What to do about a reject, told from its excerpt."""
    if reason == "bad_timestamp" and (found := _TIMESTAMP.search(shown)):
        advice = timestamp_advice(found[1], source.timestamp_format, source.timestamp_setting)
        if advice:
            return advice
    return REASONS[reason]
