"""Schemas against what plain loops find in the records."""

from __future__ import annotations

import itertools

import pytest
import tensorflow as tf
from google.protobuf import text_format
from prepare_cases import MemorySource, catalogue, random_log, read
from tensorflow_metadata.proto.v0 import schema_pb2

from tfrec_vis.data.records import impression_record, item_record, page_record
from tfrec_vis.prepare import PrepareSettings, prepare
from tfrec_vis.prepare.schema import SMALL_VOCABULARY, Shown, merge_shown

SPECS = {
    "items": item_record(("brand",)),
    "pages": page_record(),
    "impressions": impression_record(("device",)),
}
FLAGS = {"clicked", "in_pretraining", "item_seen_in_training"}
ITEMS = 120


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared") / "out"
    items = [row | {"category": f"kind {n}"} for n, row in enumerate(catalogue(ITEMS))]
    prepare(MemorySource(random_log(5), items), folder, PrepareSettings(shards=3))
    return folder


@pytest.mark.parametrize("kind", SPECS)
def test_schemas_say_what_the_records_show(prepared, kind):
    text = (prepared / "schema" / f"{kind}.pbtxt").read_text()
    schema = text_format.Parse(text, schema_pb2.Schema())
    stem = "pages-pretrain" if kind == "pages" else kind
    splits = [f"impressions-{s}" for s in ("train", "validation", "test")]
    records = [r for s in (splits if kind == "impressions" else [stem]) for r in read(prepared, s)]
    assert [feature.name for feature in schema.feature] == list(SPECS[kind])
    for feature in schema.feature:
        column = SPECS[kind][feature.name]
        values = [record[feature.name] for record in records]
        single = isinstance(column, tf.io.FixedLenFeature)
        assert feature.HasField("shape") == single
        assert (feature.presence.min_fraction == 1) == single
        assert (feature.type == schema_pb2.BYTES) == (column.dtype == tf.string)
        if not single:
            lengths = [len(value) for value in values]
            bounds = feature.value_count.min, feature.value_count.max
            assert bounds == (min(lengths), max(lengths))
            values = list(itertools.chain(*values))
        if column.dtype == tf.int64:
            bounds = feature.int_domain.min, feature.int_domain.max
            if feature.name in ("item_index", "history", "shown"):
                assert bounds == (1, ITEMS)
            elif feature.name in FLAGS:
                assert bounds == (0, 1)
            else:
                assert bounds == (min(values), max(values))
        elif feature.name in ("brand", "device"):
            assert list(feature.string_domain.value) == sorted({v.decode() for v in values})
        else:  # ids, and categories of which there are more than 100
            assert not feature.HasField("string_domain")
    assert len(records) > 100


def test_words_stay_bounded():
    key = "items", "category"

    def with_words(*numbers):
        return Shown(words={key: frozenset(b"%d" % n for n in numbers)})

    few = merge_shown([with_words(*range(60)), with_words(*range(40, SMALL_VOCABULARY))])
    assert len(few.words[key]) == SMALL_VOCABULARY
    many = merge_shown([few, with_words(SMALL_VOCABULARY)])
    assert many.words[key] is None
    assert merge_shown([with_words(1), many, with_words(2)]).words[key] is None


def test_bounds_merge_in_any_order():
    key = "pages", "timestamp"
    parts = [Shown(values={key: b}) for b in ((5, 9), (2, 3), (7, 20))] + [Shown()]
    for order in itertools.permutations(parts):
        assert merge_shown(order).values == {key: (2, 20)}
    assert merge_shown([]) == Shown()
