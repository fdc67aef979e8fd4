"""Numbering items, and the table of their numbers."""

from __future__ import annotations

import pickle
import random

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to

from tfrec_vis.prepare import item_table
from tfrec_vis.prepare.item_table import BuildItemTable
from tfrec_vis.prepare.numbering import NumberItems


def table(elements, width, parts=3):
    build = BuildItemTable(width)
    accumulators = []
    for part in range(parts):
        accumulator = build.create_accumulator()
        for element in elements[part::parts]:
            accumulator = build.add_input(accumulator, element)
        accumulators.append(accumulator)
    return build.extract_output(build.merge_accumulators(accumulators))


def test_table_gives_what_was_put_in():
    rng = random.Random(0)
    numbers = {f"{n:07d}": (rng.randrange(2**62), -n) for n in rng.sample(range(10**7), 5000)}
    found = table(list(numbers.items()), 2)
    assert all(found.get(item) == expected for item, expected in numbers.items())
    others = [f"x{n}" for n in range(5000)] + ["", "1", "é"]
    assert all(found.get(item) is None for item in others)
    again = pickle.loads(pickle.dumps(found))
    assert again.get("1") is None and again.get(min(numbers)) == numbers[min(numbers)]
    assert len(pickle.dumps(found)) < 25 * len(numbers)
    assert table([], 1).get("a") is None


def test_equal_hashes_are_refused(monkeypatch):
    monkeypatch.setattr(item_table, "_hash", len)
    with pytest.raises(RuntimeError, match="rename one of the items"):
        table([("a", (1,)), ("b", (2,))], 1)


@pytest.mark.parametrize("count, first", [(0, 1), (1, 5), (2000, 1)])
def test_numbers_follow_the_order_of_the_ids(count, first):
    ids = [f"{n * 7919 % 2003:05d}" for n in range(count)]
    expected = list(zip(sorted(ids), range(first, first + count), strict=True))
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        assert_that(pipeline | beam.Create(ids) | NumberItems(first), equal_to(expected))
