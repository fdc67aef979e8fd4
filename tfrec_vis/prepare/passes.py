"""The preparation in several pipelines, each with a part of the users.

A runner in one process keeps what it shuffles in memory. Here the log is read once as a stream
and divided by user into files; then one pipeline after the other groups one part. What all users
together say (cuts, dates, the pool) is found between the two rounds in streams over these files.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import apache_beam as beam

from tfrec_vis.prepare.counts import add_counts
from tfrec_vis.prepare.hashing import shard_of
from tfrec_vis.prepare.job import Job
from tfrec_vis.prepare.output import write_facts, write_rejects, write_shards, write_words
from tfrec_vis.prepare.page_pictures import write_user_records
from tfrec_vis.prepare.schema import WriteSchemas
from tfrec_vis.prepare.steps import (
    Found,
    Step,
    find,
    identical_pictures,
    item_records,
    merge_users,
    read_catalogue,
    read_log,
    split_users,
)
from tfrec_vis.prepare.store import Store

Phase = Callable[[beam.Pipeline], None]
"""Adds a pipeline's transforms."""


class Passes:
    """The pipelines of one preparation.

    They write what ``pipeline.build`` writes. A part of the users is that of whole output files,
    so that each file is written by one pipeline.

    Args:
        job: ``passes`` parts, ``shards`` files.
        store: an empty one.
    """

    def __init__(self, job: Job, store: Store) -> None:
        self.job = job
        self.out = job.out
        self.settings = job.settings
        self.store = store

    def run(self, run_pipeline: Callable[[Phase], None]) -> None:
        """Runs one pipeline after the other; files that were read for the last time are removed.

        Args:
            run_pipeline: makes a pipeline, has the phase add its transforms, runs it.
        """
        parts = range(self.settings.passes)
        run_pipeline(self._read)
        for part in parts:
            run_pipeline(partial(self._merge, part))
            self.store.clear("rows", part)
        run_pipeline(self._find)
        for part in parts:
            run_pipeline(partial(self._split, part))
            self.store.clear("users", part)
        run_pipeline(self._write)

    def _read(self, pipeline: beam.Pipeline) -> None:
        items, index = read_catalogue(pipeline, self.job)
        log = read_log(pipeline, self.job, index)
        self.store.write(items.main, "items")
        self.store.write(index, "index")
        self.store.write(
            log.main, "rows", partial(_part, self.settings.shards, self.settings.passes)
        )
        self._keep([items, log])

    def _merge(self, part: int, pipeline: beam.Pipeline) -> None:
        merged = merge_users(self.store.read(pipeline, "rows", part), self.settings)
        self.store.write(merged.main, "users", partial(_constant, part))
        self._keep([merged])

    def _find(self, pipeline: beam.Pipeline) -> None:
        def read_users(step: str) -> beam.PCollection:
            return self.store.read(pipeline, "users", label=f"users for {step}")

        found = find(read_users, self.job)
        for name in Found._fields:
            self.store.write(getattr(found, name), name)

    def _split(self, part: int, pipeline: beam.Pipeline) -> None:
        users = self.store.read(pipeline, "users", part)
        index = self.store.read(pipeline, "index")
        found = Found(*(self.store.read(pipeline, name) for name in Found._fields))
        records, counts, words = split_users(users, found, index, self.job)
        items = None
        if self.settings.image_join == "embedded":
            items = self.store.read(pipeline, "items")
        written = write_user_records(records, items, index, self.job)
        self.store.write(written, "written")
        self.store.write(counts | "add up" >> beam.CombinePerKey(add_counts), "counts")
        self.store.write(words | beam.Distinct(), "words")

    def _write(self, pipeline: beam.Pipeline) -> None:
        items, index, words, counts, rejects = (
            self.store.read(pipeline, name)
            for name in ("items", "index", "words", "counts", "rejects")
        )
        cuts, period, dates = (self.store.read(pipeline, n) for n in ("cuts", "period", "dates"))
        records, item_words = item_records(items, index, dates, self.job)
        written = [
            write_shards(records, self.out, self.settings.shards, "items"),
            self.store.read(pipeline, "written"),
        ]
        files = written | "all written" >> beam.Flatten()
        schemas = files | WriteSchemas(self.job)
        vocabularies = write_words([words, item_words] | "all words" >> beam.Flatten(), self.out)
        evidence = write_rejects(rejects, self.out, self.settings.shards)
        counts = [counts, identical_pictures(items)] | "all counts" >> beam.Flatten()
        files = [files, schemas, vocabularies, evidence] | "all files" >> beam.Flatten()
        write_facts(counts, cuts, period, files, self.out)

    def _keep(self, steps: list[Step]) -> None:
        counts = [step.counts for step in steps] | "all counts" >> beam.Flatten()
        # One number for each row would be as many as there are rows.
        self.store.write(counts | "add up" >> beam.CombinePerKey(add_counts), "counts")
        rejects = [step.rejects for step in steps] | "all rejects" >> beam.Flatten()
        self.store.write(rejects, "rejects")


def _part(shards: int, passes: int, row: tuple) -> int:
    """The part of a row's user: that of the file in which the user's records will be."""
    return shard_of(row[0], shards) % passes


def _constant(value: int, _: object) -> int:
    return value
