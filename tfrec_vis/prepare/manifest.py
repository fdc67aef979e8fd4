"""The manifest: what the prepared folder holds and how it came about."""

from __future__ import annotations

import platform
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from tfrec_vis.prepare.cuts import SPLITS
from tfrec_vis.prepare.facts import Facts
from tfrec_vis.prepare.identical import IDENTICAL
from tfrec_vis.prepare.job import Job

_PACKAGES = ("tfrec-vis", "tensorflow", "tensorflow-io", "apache-beam", "pillow", "numpy")


def build_manifest(job: Job, facts: Facts) -> dict[str, Any]:
    """The manifest of a folder in which everything else is written already."""
    source, previous = job.source, job.previous
    return {
        "interactions": _fate(facts, "interactions"),
        "items": {
            **_fate(facts, "items"),
            IDENTICAL: {name: facts.number(IDENTICAL, name) for name in ("groups", "items")},
        },
        "item_count": facts.number("items", "kept"),
        "item_features": list(source.item_features),
        "context_features": list(source.context_features),
        "has_labels": source.has_labels,
        "period": facts.period,
        "cuts": facts.cuts,
        "splits": {
            "pretrain": _numbers(facts, "pretrain", "pages", "records", "clicks"),
            **{split: _numbers(facts, split, "rows", "clicks", "users") for split in SPLITS},
        },
        "negatives": {name: facts.number("negatives", name) for name in ("wanted", "written")},
        "appended": 0 if previous is None else previous.appended + 1,
        "appended_to": [] if previous is None else previous.lineage,
        "settings": asdict(job.settings),
        "versions": _versions(),
        "checksums": dict(sorted(facts.checksums.items())),
    }


def _fate(facts: Facts, kind: str) -> dict[str, Any]:
    numbers: dict[str, Any] = {
        name: facts.number(kind, name) for name in ("read", "kept", "merged")
    }
    return {**numbers, "rejected": facts.rejected(kind)}


def _numbers(facts: Facts, split: str, *names: str) -> dict[str, int]:
    return {name: facts.number("splits", split, name) for name in names}


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
