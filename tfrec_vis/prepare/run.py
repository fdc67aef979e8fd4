"""``prepare``: raw data in, prepared data out."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import apache_beam as beam
import tensorflow as tf
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner

from tfrec_vis.data.file_systems import load_file_system
from tfrec_vis.errors import InputError
from tfrec_vis.prepare.beam_flags import read_beam_flags
from tfrec_vis.prepare.cuts import SPLITS
from tfrec_vis.prepare.facts import Facts
from tfrec_vis.prepare.job import Job
from tfrec_vis.prepare.manifest import build_manifest
from tfrec_vis.prepare.output import FACTS
from tfrec_vis.prepare.passes import Passes, Phase
from tfrec_vis.prepare.pipeline import build
from tfrec_vis.prepare.previous import Previous
from tfrec_vis.prepare.settings import PrepareSettings
from tfrec_vis.prepare.store import Store
from tfrec_vis.prepare.users_fault import users_fault
from tfrec_vis.prepare.write import shard_name, write_json, write_text
from tfrec_vis.sources.source import Source

MANIFEST = "manifest.json"


def prepare(
    source: Source,
    out: str | Path,
    settings: PrepareSettings,
    beam_options: Sequence[str] = (),
    append_to: str | Path | None = None,
    cuts: Sequence[int] | None = None,
) -> dict[str, Any]:
    """Validates, joins, splits and writes the data as docs/data.md describes.

    The manifest is written last: a folder without one is no prepared data. The same input and
    seed give the same records, whatever the order of rows and the number of shards.

    Args:
        source: raw interactions and catalogue.
        out: a folder that does not exist or is empty; renaming it when done is the caller's.
        settings: of the preparation.
        beam_options: flags of Beam; without ``--runner`` everything runs in this process.
        append_to: prepared data to which the source's are added. Every item keeps its item_index,
            new ones get the next; the cuts stay.
        cuts: three timestamps in place of ``splits``, or of the cuts of ``append_to``.

    Returns:
        The manifest.

    Raises:
        InputError: a flag or the cuts are wrong, the source does not fit ``append_to``, nothing
            usable is in the data, or more than ``max_rejected`` of it is not.
    """
    runner, options = read_beam_flags(beam_options)
    source.check()
    vocabularies = _vocabulary_names(source)
    if settings.passes > 1 and not isinstance(runner, FnApiRunner):
        raise InputError(
            f"prepare.passes: {settings.passes} passes are for a run on this machine; set it to 1 "
            f"for {type(runner).__name__}"
        )
    previous = None
    if append_to is not None:
        previous = Previous(str(append_to))
        previous.check(source, settings)
        cuts = previous.cuts if cuts is None else cuts
    if cuts is not None and (len(cuts) != 3 or not cuts[0] <= cuts[1] < cuts[2]):
        raise InputError(f"cuts: expected three rising timestamps, got {list(cuts)}")
    folder = str(out)
    _check_new(folder)

    def run(add: Phase) -> None:
        with users_fault(), beam.Pipeline(runner=runner, options=options) as pipeline:
            add(pipeline)

    if previous is not None:
        run(previous.check_files)
    _make_folders(folder)
    job = Job(source, folder, settings, previous, None if cuts is None else tuple(cuts))
    if settings.passes == 1:
        run(partial(build, job=job))
    else:
        _run_passes(job, run)

    path = tf.io.gfile.join(folder, FACTS)
    with tf.io.gfile.GFile(path) as file:
        facts = Facts(**json.load(file))
    tf.io.gfile.remove(path)
    facts.check(job)

    facts.checksums |= _write_missing(folder, settings.shards, vocabularies, facts.checksums)
    manifest = build_manifest(job, facts)
    write_json(tf.io.gfile.join(folder, MANIFEST), manifest)
    return manifest


def _check_new(folder: str) -> None:
    load_file_system(folder)
    try:
        taken = tf.io.gfile.exists(folder) and _visible(tf.io.gfile.listdir(folder))
    except tf.errors.OpError as error:
        raise InputError(f"{folder}: it cannot be looked into ({_line(error)})") from error
    if taken:
        raise InputError(f"{folder}: the folder is not empty; name a new one")


def _make_folders(folder: str) -> None:
    try:
        for name in ("vocabulary", "schema"):
            tf.io.gfile.makedirs(tf.io.gfile.join(folder, name))
    except tf.errors.OpError as error:
        raise InputError(
            f"{folder}: it cannot be made ({_line(error)}); check the address, your rights, and "
            "that the file system's own client is installed"
        ) from error


def _line(error: tf.errors.OpError) -> str:
    return " ".join(error.message.split())


def _run_passes(job: Job, run: Callable[[Phase], None]) -> None:
    # Beside the output, where there is room for it, if that is on this machine.
    beside = job.out if os.path.isdir(job.out) else None
    with tempfile.TemporaryDirectory(prefix=".passes-", dir=beside) as store:
        Passes(job, Store(store)).run(run)


def _vocabulary_names(source: Source) -> list[str]:
    """user_id, category and the declared features; each is a file, so each has its own name."""
    names = ["user_id", "category", *source.item_features, *source.context_features]
    for position, name in enumerate(names):
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
            raise InputError(
                f"source: the feature name {name!r} may hold letters, digits, '_', '.' and '-' "
                "only; rename it"
            )
        if name in names[:position]:
            raise InputError(
                f"source: the feature name {name!r} is taken already; give every item and "
                "context feature a name of its own"
            )
    return names


def _write_missing(
    folder: str, shards: int, vocabularies: Sequence[str], there: Collection[str]
) -> dict[str, str]:
    """Empty files for shards and vocabularies in which nothing fell, with their checksums."""
    expected = [f"vocabulary/{name}.txt" for name in vocabularies]
    records = ["items", "pages-pretrain", *(f"impressions-{split}" for split in SPLITS)]
    for shard in range(shards):
        expected += [shard_name(stem, "tfrecord", shard, shards) for stem in records]
        expected += [
            shard_name(f"rejects-{kind}", "jsonl", shard, shards)
            for kind in ("interactions", "items")
        ]
    return {
        name: write_text(tf.io.gfile.join(folder, name), "")
        for name in expected
        if name not in there
    }


def _visible(names: Sequence[str]) -> list[str]:
    """Names that are not hidden: the caller may keep a file such as .stage.json there."""
    return [name for name in names if not name.startswith(".")]
