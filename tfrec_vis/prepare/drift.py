"""Drift and skew between two preparations, by TensorFlow Data Validation (the ``tfx`` extra)."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2

from tfrec_vis.data.manifest import PreparedDataError, read_manifest
from tfrec_vis.data.schema import read_schema
from tfrec_vis.errors import InputError

THRESHOLD = 0.1
"""Jensen-Shannon divergence (0 to 1) of a feature's values above which it is named."""

_SETS = (
    "items",
    "pages-pretrain",
    "impressions-train",
    "impressions-validation",
    "impressions-test",
)
_GROWING = {"item_index", "history", "shown", "image_item_index", "timestamp", "first_seen"}
"""What a later log changes by itself; item indices are numbered anew by each preparation."""
_NOT_COMPARED = _GROWING | {"user_id", "page_id", "item_id", "title", "image"}
_BY_SPLIT = {"in_pretraining", "item_seen_in_training"}
"""What the splits differ in by their making: no skew."""
_NEEDED = (
    "comparing preparations needs TensorFlow Data Validation: "
    "install the extra, `pip install -c constraints-tfx.txt '.[tfx]'` in a copy of the repository"
)


@dataclass(frozen=True)
class Finding:
    """Something in which the new preparation is unlike the old one.

    Attributes:
        kind: "schema" (a value, type or column that the old schema does not know), "drift" (the
            distribution in the same record set) or "skew" (the new test rows, which are the ones
            to be served, against the old training rows).
        records: the set of records, such as "impressions-test".
        feature: the feature.
        problem: what was found.
    """

    kind: str
    records: str
    feature: str
    problem: str


def check_comparable(old: str | Path, new: str | Path) -> None:
    """Whether two preparations can be compared, before one of them is made.

    Raises:
        InputError: TFDV is not installed, or ``old`` is no prepared folder with readable schemas,
            or is ``new``, or one of them is a URI.
    """
    for folder in (old, new):
        if "://" in str(folder):
            raise InputError(
                f"--validate-against compares folders on this machine's disks, {folder} is none; "
                "copy what is to be compared here"
            )
    _tfdv()
    if Path(old).resolve() == Path(new).resolve():
        raise InputError(
            f"--validate-against {old}: this folder is the one that is written; "
            "copy it elsewhere first, or give --work another folder"
        )
    try:
        read_manifest(old)
        for kind in sorted({records.split("-")[0] for records in _SETS}):
            read_schema(old, kind)
    except PreparedDataError as error:
        raise InputError(f"--validate-against {error}") from error


def name_drift(old: str | Path, new: str | Path) -> None:
    """Prints in what a preparation that was just written is unlike an older one.

    Raises:
        InputError: it is, or a folder is damaged.
    """
    try:
        found = compare_prepared(old, new)
    except PreparedDataError as error:
        raise InputError(f"--validate-against {old}: {error}") from error
    for finding in found:
        print(f"{finding.kind}: {finding.records}: {finding.feature}: {finding.problem}")
    if found:
        raise InputError(
            f"{new} is written, but is unlike {old} in {len(found)} points, named above"
        )
    print(f"no drift or skew against {old}")


def compare_prepared(old: str | Path, new: str | Path) -> list[Finding]:
    """Names drift and skew between two preparations.

    Each record set of ``new`` is held against the schema of ``old`` (apart from times and item
    indices, which grow) and against the distributions of the same set of ``old``. The test rows of
    ``new`` are also held against the training rows of ``old``: what a model that was trained there
    would meet.

    Args:
        old, new: folders that ``prepare`` wrote.

    Returns:
        What differs, in the order of record sets and features.

    Raises:
        InputError: TFDV is not installed.
        PreparedDataError: a folder is not prepared data.
    """
    tfdv = _tfdv()
    found = []
    before = {}
    for records in _SETS:
        schema = _schema(old, records)
        before[records] = _statistics(tfdv, old, records, schema)
        after = _statistics(tfdv, new, records, schema)
        anomalies = tfdv.validate_statistics(after, schema, previous_statistics=before[records])
        found += _findings(anomalies, records)
    for feature in schema.feature:
        _compare(feature, "skew_comparator", feature.name not in _BY_SPLIT)
        feature.ClearField("drift_comparator")
    # TFDV calls what is examined training data, and what it is held against serving data.
    anomalies = tfdv.validate_statistics(
        before["impressions-train"], schema, serving_statistics=after
    )
    return found + [f for f in _findings(anomalies, "impressions-test") if f.kind == "skew"]


def _schema(prepared: str | Path, records: str) -> schema_pb2.Schema:
    schema = read_schema(prepared, records.split("-")[0])
    for feature in schema.feature:
        if feature.name in _GROWING:
            feature.ClearField("domain_info")
        if feature.HasField("value_count"):  # the longest list is a matter of chance
            feature.ClearField("value_count")
        _compare(feature, "drift_comparator", True)
    return schema


def _compare(feature: schema_pb2.Feature, comparator: str, wanted: bool) -> None:
    if wanted and feature.name not in _NOT_COMPARED:
        getattr(feature, comparator).jensen_shannon_divergence.threshold = THRESHOLD


def _statistics(tfdv: Any, prepared: str | Path, records: str, schema: schema_pb2.Schema) -> Any:
    from tfx_bsl.public.tfxio import TFExampleRecord

    read_manifest(prepared)
    pattern = str(Path(prepared) / f"{records}-*.tfrecord")
    # Without the schema: what it does not know, or of another type, is to be found as well.
    source = TFExampleRecord(pattern, telemetry_descriptors=["tfrec_vis"])
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "statistics")
        with beam.Pipeline(runner=FnApiRunner()) as pipeline:
            _ = (
                pipeline
                | "read" >> source.BeamSource()
                | "describe" >> tfdv.GenerateStatistics(tfdv.StatsOptions(schema=schema))
                | "write" >> tfdv.WriteStatisticsToTFRecord(path)
            )
        return tfdv.load_statistics(path)


def _findings(anomalies: anomalies_pb2.Anomalies, records: str) -> list[Finding]:
    found = []
    for feature, anomaly in sorted(anomalies.anomaly_info.items()):
        for reason in anomaly.reason:
            found.append(Finding(_kind(reason), records, feature, reason.description))
    return found


def _kind(reason: anomalies_pb2.AnomalyInfo.Reason) -> str:
    name = anomalies_pb2.AnomalyInfo.Type.Name(reason.type)
    if not name.startswith("COMPARATOR"):
        return "schema"
    return "skew" if "serving" in reason.description else "drift"


def _tfdv() -> Any:
    try:
        import tensorflow_data_validation
    except ImportError as error:
        raise InputError(_NEEDED) from error
    return tensorflow_data_validation
