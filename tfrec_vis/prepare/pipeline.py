"""The Beam pipeline: which transform feeds which."""

from __future__ import annotations

import apache_beam as beam

from tfrec_vis.prepare.job import Job
from tfrec_vis.prepare.output import write_facts, write_rejects, write_shards, write_words
from tfrec_vis.prepare.page_pictures import write_user_records
from tfrec_vis.prepare.schema import WriteSchemas
from tfrec_vis.prepare.steps import (
    find,
    identical_pictures,
    item_records,
    merge_users,
    read_catalogue,
    read_log,
    split_users,
)


def build(pipeline: beam.Pipeline, job: Job) -> None:
    """Adds the whole preparation to the pipeline."""
    out, shards = job.out, job.settings.shards
    items, index = read_catalogue(pipeline, job)
    log = read_log(pipeline, job, index)
    merged = merge_users(log.main, job.settings)
    users = merged.main | "spread users" >> beam.Reshuffle()
    found = find(lambda _: users, job)
    user_records, split_counts, words = split_users(users, found, index, job)
    records, item_words = item_records(items.main, index, found.dates, job)

    written = [
        write_shards(records, out, shards, "items"),
        write_user_records(user_records, items.main, index, job),
    ]
    files = written | "written" >> beam.Flatten()
    schemas = files | WriteSchemas(job)
    vocabularies = write_words([words, item_words] | "all words" >> beam.Flatten(), out)
    steps = (items, log, merged)
    rejects = [step.rejects for step in steps] | "all rejects" >> beam.Flatten()
    evidence = write_rejects(rejects, out, shards)
    counts = [
        *(step.counts for step in steps),
        split_counts,
        identical_pictures(items.main),
    ] | "all counts" >> beam.Flatten()
    files = [files, schemas, vocabularies, evidence] | "all files" >> beam.Flatten()
    write_facts(counts, found.cuts, found.period, files, out)
