"""What holds for any dirty log: counts, leaks, and that order, shards and passes do not matter."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import pytest
from dirty_logs import (
    COMMON,
    SETTINGS,
    check_counts,
    dirty_logs,
    prepared,
    truth_of,
    with_and_without_labels,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from prepare_cases import raw_records, rejects
from prepare_truth import STEMS, check_impressions, check_pages, check_sampled_items

from tfrec_vis.prepare import PrepareSettings


def check(drawn, labels, passes):
    truth = truth_of(drawn, labels)
    with tempfile.TemporaryDirectory() as name:
        one, seven = Path(name, "one"), Path(name, "seven")
        manifest = prepared(drawn, labels, one, order=1, shards=1)
        check_counts(drawn, labels, truth, manifest)
        assert manifest["cuts"] == truth.cuts
        check_impressions(truth, one, PrepareSettings(**SETTINGS))
        check_pages(truth, one, PrepareSettings(**SETTINGS))
        check_sampled_items(truth, one, manifest, PrepareSettings(**SETTINGS))

        other = prepared(drawn, labels, seven, order=2, shards=7, passes=passes)
        for stem in ("items", "pages-pretrain", *STEMS):
            assert raw_records(one, stem) == raw_records(seven, stem)
        for name in ("interactions", "items", "cuts", "splits", "negatives"):
            assert manifest[name] == other[name]
        for kind in ("interactions", "items"):
            reasons = [Counter(r["reason"] for r in rejects(f, kind)) for f in (one, seven)]
            assert reasons[0] == reasons[1] == manifest[kind]["rejected"]
        for path in [*one.glob("vocabulary/*"), *one.glob("schema/*")]:
            assert path.read_bytes() == (seven / path.relative_to(one)).read_bytes()


@with_and_without_labels
@settings(max_examples=3, **COMMON)
@given(drawn=dirty_logs)
def test_any_dirty_log(labels, drawn):
    check(drawn, labels, passes=1)


@pytest.mark.slow
@with_and_without_labels
@settings(max_examples=60, **COMMON)
@given(drawn=dirty_logs, passes=st.sampled_from([1, 1, 2, 3, 7]))
def test_many_dirty_logs(labels, drawn, passes):
    check(drawn, labels, passes)
