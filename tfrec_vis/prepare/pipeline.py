"""The Beam pipeline: which transform feeds which."""

from __future__ import annotations

import apache_beam as beam

from tfrec_vis.prepare.output import write_facts, write_rejects, write_shards, write_words
from tfrec_vis.prepare.settings import PrepareSettings
from tfrec_vis.prepare.steps import (
    find,
    item_records,
    merge_users,
    read_catalogue,
    read_log,
    split_users,
)
from tfrec_vis.sources.source import Source


def build(pipeline: beam.Pipeline, source: Source, out: str, settings: PrepareSettings) -> None:
    """Adds the whole preparation to the pipeline.

    Args:
        pipeline: to add to.
        source: raw interactions and catalogue.
        out: folder, which exists and holds ``vocabulary``.
        settings: of the preparation.
    """
    items, index = read_catalogue(pipeline, source, settings)
    log = read_log(pipeline, source, index)
    merged = merge_users(log.main, settings)
    users = merged.main | "spread users" >> beam.Reshuffle()
    found = find(users, users, source, settings)
    user_records, split_counts, words = split_users(users, found, index, source, settings)
    records, item_words = item_records(items.main, index, found.dates, source, settings)

    write_shards(records, out, settings.shards, "items")
    write_shards(user_records, out, settings.shards, "users")
    write_words([words, item_words] | "all words" >> beam.Flatten(), out)
    steps = (items, log, merged)
    rejects = [step.rejects for step in steps] | "all rejects" >> beam.Flatten()
    write_rejects(rejects, out, settings.shards)
    counts = [*(step.counts for step in steps), split_counts] | "all counts" >> beam.Flatten()
    write_facts(counts, found.cuts, out)
