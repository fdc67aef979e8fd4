"""Drift and skew between preparations, and the schemas, as TensorFlow Data Validation sees them."""

from __future__ import annotations

import importlib.util
import shutil
import sys

import pytest
import tensorflow as tf
from prepare_cases import MemorySource, catalogue, random_log

from tfrec_vis.data.schema import read_schema
from tfrec_vis.errors import InputError
from tfrec_vis.prepare import PrepareSettings, drift, prepare

with_tfdv = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow_data_validation") is None,
    reason="needs TensorFlow Data Validation: pip install -e '.[tfx]'",
)
ITEMS = 30


def prepared(folder, log, items=None, shards=2):
    settings = PrepareSettings(shards=shards)
    prepare(MemorySource(log, items or catalogue(ITEMS)), folder, settings)
    return folder


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    return prepared(tmp_path_factory.mktemp("old") / "prepared", random_log(1, rows=600))


def findings(old, new):
    return {(f.kind, f.records, f.feature) for f in drift.compare_prepared(old, new)}


@with_tfdv
@pytest.mark.parametrize("records", drift._SETS)
def test_clean_data_have_no_anomalies(old, records):
    tfdv = drift._tfdv()
    schema = read_schema(old, records.split("-")[0])
    statistics = drift._statistics(tfdv, old, records, schema)
    (counted,) = statistics.datasets
    files = map(str, old.glob(f"{records}-*.tfrecord"))
    assert counted.num_examples == sum(1 for _ in tf.data.TFRecordDataset(list(files))) > 0
    assert not tfdv.validate_statistics(statistics, schema).anomaly_info


def rewritten(folder, stem, change):
    """Changes every record of a copy."""
    for shard in folder.glob(f"{stem}-*.tfrecord"):
        records = list(tf.data.TFRecordDataset(str(shard)).as_numpy_iterator())
        with tf.io.TFRecordWriter(str(shard)) as writer:
            for record in records:
                example = tf.train.Example.FromString(record)
                change(example.features.feature)
                writer.write(example.SerializeToString())


def first_int(name, value):
    def change(features):
        features[name].int64_list.value[0] = value

    return change


def text_instead(name, value):
    def change(features):
        features[name].Clear()
        features[name].bytes_list.value.append(value)

    return change


PLANTED = {
    "a label of 2": ("impressions-train", "clicked", first_int("clicked", 2)),
    "an unknown word": ("impressions-test", "device", text_instead("device", b"fridge")),
    "a text for a number": ("pages-pretrain", "timestamp", text_instead("timestamp", b"now")),
    "a missing column": ("items", "brand", lambda features: features.pop("brand")),
    "an item beyond the catalogue": ("pages-pretrain", "shown", first_int("shown", ITEMS + 1)),
    "too long a list": (
        "impressions-train",
        "history",
        lambda features: features["history"].int64_list.value.extend([1] * 99),
    ),
    "a new column": ("items", "extra", text_instead("extra", b"x")),
}


@with_tfdv
@pytest.mark.parametrize("name", PLANTED)
def test_planted_anomalies_are_found(old, tmp_path, name):
    records, feature, change = PLANTED[name]
    folder = shutil.copytree(old, tmp_path / "prepared")
    rewritten(folder, records, change)
    tfdv = drift._tfdv()
    schema = read_schema(folder, records.split("-")[0])
    statistics = drift._statistics(tfdv, folder, records, schema)
    assert set(tfdv.validate_statistics(statistics, schema).anomaly_info) == {feature}


@with_tfdv
def test_the_same_data_have_no_drift(old, tmp_path):
    new = prepared(tmp_path / "new", random_log(1, rows=600)[::-1], shards=3)
    assert findings(old, new) == set()


@with_tfdv
def test_a_later_log_of_the_same_kind_has_no_drift(old, tmp_path):
    log = random_log(2, rows=600)
    later = [row | {"timestamp": str(int(row["timestamp"]) + 30 * 86_400)} for row in log]
    assert findings(old, prepared(tmp_path / "new", later)) == set()


@with_tfdv
def test_drift_skew_and_new_values_are_named(old, tmp_path):
    log = [row | {"device": "phone"} for row in random_log(1, rows=600)]
    items = [row | {"brand": "new one"} if n == 3 else row for n, row in enumerate(catalogue(30))]
    items = [row | {"category": "kind 0"} for row in items]
    found = findings(old, prepared(tmp_path / "new", log, items))
    assert found == {
        ("schema", "items", "brand"),
        ("drift", "items", "category"),
        *(("drift", f"impressions-{s}", "device") for s in ("train", "validation", "test")),
        ("skew", "impressions-test", "device"),
    }


def test_the_extra_is_named(monkeypatch, old, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorflow_data_validation", None)
    with pytest.raises(
        InputError, match=r"install the extra, `pip install -c constraints-tfx.txt '.\[tfx\]'`"
    ):
        drift.check_comparable(old, tmp_path)


def test_folders_that_cannot_be_compared(monkeypatch, old, tmp_path):
    monkeypatch.setattr(drift, "_tfdv", lambda: None)
    drift.check_comparable(old, tmp_path / "new")
    with pytest.raises(InputError, match="--validate-against .*copy it elsewhere first"):
        drift.check_comparable(old, old.parent / "." / old.name)
    with pytest.raises(InputError, match="--validate-against .*is not prepared data"):
        drift.check_comparable(tmp_path, tmp_path / "new")
