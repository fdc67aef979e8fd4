"""Dirty input: what is rejected, why, and when it is too much."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from pathlib import Path

import pytest
from prepare_cases import MemorySource, catalogue, photo, random_log, read, rejects

from tfrec_vis.errors import InputError
from tfrec_vis.prepare import PrepareSettings, images, prepare, reasons
from tfrec_vis.sources.source import RawRow

GOOD = {"user_id": "u1", "item_id": "0001", "timestamp": "5", "clicked": "0", "device": "x"}
DIRTY_LOG = [
    ("missing_user_id", GOOD | {"user_id": ""}),
    ("missing_user_id", GOOD | {"user_id": None}),
    ("missing_item_id", GOOD | {"item_id": " "}),
    ("bad_timestamp", GOOD | {"timestamp": "yesterday"}),
    ("bad_timestamp", GOOD | {"timestamp": "-1"}),
    ("bad_timestamp", GOOD | {"timestamp": "1600000000000"}),
    ("bad_timestamp", GOOD | {"timestamp": "inf"}),
    ("bad_clicked", GOOD | {"clicked": "2"}),
    ("bad_clicked", GOOD | {"clicked": ""}),
    ("bad_clicked", GOOD | {"clicked": "nan"}),
    ("unknown_item", GOOD | {"item_id": "nowhere"}),
    ("item_rejected", GOOD | {"item_id": "no-image"}),
    ("item_rejected", GOOD | {"item_id": "truncated"}),
    ("not_utf8", GOOD | {"device": "\ud800"}),
    ("ragged_row", RawRow("log.csv:9999", {"excerpt": "a,b\ud800," + "c" * 500}, "ragged_row")),
]
DIRTY_ITEMS = [
    ("missing_item_id", {"item_id": "", "image": photo()}),
    ("image_missing", {"item_id": "no-image", "image": ""}),
    ("image_missing", {"item_id": "no-file", "image": "none.jpg"}),
    ("image_outside_root", {"item_id": "outside", "image": "../a.jpg"}),
    ("image_empty", {"item_id": "empty", "image": b""}),
    ("image_empty", {"item_id": "empty-file", "image": "empty.jpg"}),
    ("image_not_decodable", {"item_id": "html", "image": "page.jpg"}),
    ("image_not_decodable", {"item_id": "truncated", "image": photo(size=(99, 99))[:500]}),
    ("image_too_large", {"item_id": "large", "image": photo(size=(300, 100))}),
    ("duplicate_item_id", {"item_id": "0001", "image": photo(), "title": "z"}),
    ("not_json", RawRow("items.csv:9999", {"excerpt": "{"}, "not_json")),
]


@pytest.fixture(scope="module")
def dirty(tmp_path_factory):
    root = tmp_path_factory.mktemp("photos")
    (root / "empty.jpg").write_bytes(b"")
    (root / "page.jpg").write_bytes(b"<html>")
    log = [row for _, row in DIRTY_LOG] + random_log(1)
    items = [row for _, row in DIRTY_ITEMS] + catalogue(30) + catalogue(5)
    out = tmp_path_factory.mktemp("prepared") / "out"
    settings = PrepareSettings(max_pixels=20_000, max_rejected=0.3)
    return out, prepare(MemorySource(log, items, roots=[root]), out, settings), log, items


def by_reason(cases):
    counts = {}
    for reason, _ in cases:
        counts[reason] = counts.get(reason, 0) + 1
    return dict(sorted(counts.items()))


@pytest.mark.parametrize("kind, cases", [("interactions", DIRTY_LOG), ("items", DIRTY_ITEMS)])
def test_every_reject_is_counted_and_listed(dirty, kind, cases):
    out, manifest, log, items = dirty
    fate = manifest[kind]
    assert fate["read"] == len(log if kind == "interactions" else items)
    assert fate["rejected"] == by_reason(cases)
    assert fate["read"] == fate["kept"] + fate["merged"] + len(cases)
    listed = {line["line"]: line for line in rejects(out, kind)}
    assert len(listed) == len(cases)
    for line, (reason, case) in enumerate(cases, start=2):
        found = listed[9999 if isinstance(case, RawRow) else line]
        assert found["reason"] == reason
        assert found["source"] == ("log.csv" if kind == "interactions" else "items.csv")
        assert len(found["excerpt"]) <= 200
        assert ("an HTML page" in found["excerpt"]) == ("page.jpg" in found["excerpt"])
    assert "nowhere" in str(listed) or kind == "items"


def test_what_is_kept_is_clean(dirty):
    out, manifest, _, _ = dirty
    assert manifest["items"]["merged"] == 5 and manifest["items"]["kept"] == 30
    assert manifest["items"]["identical_images"] == {"groups": 1, "items": 30}
    assert [item["title"] for item in read(out, "items") if item["item_id"] == b"0001"] == [
        b"item 1"
    ]
    for stem in ("impressions-train", "impressions-validation", "impressions-test"):
        assert all(1 <= row["item_index"] <= 30 for row in read(out, stem))


def test_manifest_is_whole(dirty):
    out, manifest, _, _ = dirty
    assert json.loads((out / "manifest.json").read_text()) == json.loads(json.dumps(manifest))
    files = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert set(manifest["checksums"]) == files - {"manifest.json"}
    for name, checksum in manifest["checksums"].items():
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == checksum
    shards = {name for name in files if name.startswith("rejects-items")}
    assert shards == {f"rejects-items-0000{n}-of-00004.jsonl" for n in range(4)}


def error_of(tmp_path, log, items, settings=None, **options):
    with pytest.raises(InputError) as error:
        chosen = PrepareSettings(**(settings or {}))
        prepare(MemorySource(log, items, **options), tmp_path / "out", chosen)
    assert not (tmp_path / "out" / "manifest.json").exists()
    message = str(error.value)
    assert "\n" not in message
    return message


def test_too_many_rejects(tmp_path):
    log = random_log(1, rows=100)
    broken = [row | {"timestamp": "soon"} for row in log[:20]]
    message = error_of(tmp_path, [row | {"clicked": "7"} for row in log[:3]] + broken + log[20:],
                       catalogue(30))  # fmt: skip
    assert "23 of 113 interactions" in message and "(20) as bad_timestamp" in message
    assert "log.csv:5" in message and "prepare.max_rejected (now 0.1)" in message
    assert '"timestamp": "soon"' in message and reasons.REASONS["bad_timestamp"] in message
    # The evidence is where the message says.
    evidence = Path(re.search(r"listed in (\S+\.jsonl) and", message)[1])
    assert evidence.parent == tmp_path / "out"
    lines = [json.loads(line) for line in evidence.read_text().splitlines()]
    assert ("log.csv", 5, "bad_timestamp") in [(r["source"], r["line"], r["reason"]) for r in lines]
    assert len(rejects(tmp_path / "out", "interactions")) == 23


@pytest.mark.parametrize(
    "form, scale, told", [("seconds", 1000, "milliseconds"), ("milliseconds", 1, "seconds")]
)
def test_times_in_another_unit(tmp_path, monkeypatch, form, scale, told):
    start = 1_600_000_000
    log = [
        row | {"timestamp": str((start + int(row["timestamp"])) * scale)}
        for row in random_log(1, rows=50)
    ]
    monkeypatch.setattr(MemorySource, "timestamp_format", form)
    monkeypatch.setattr(MemorySource, "timestamp_setting", "source.form")
    message = error_of(tmp_path, log, catalogue(30))
    assert f"{len(log)} of {len(log)} interactions" in message
    assert f"looks like {told}: set source.form to {told}" in message
    assert "max_rejected" not in message  # it would bear that nothing is left


def test_shares_by_reason_name_what_is_too_much(tmp_path):
    log = random_log(1, rows=100)
    dirty_log = [row | {"timestamp": "soon"} for row in log[:40]] + log[40:]
    dirty_log += [GOOD | {"clicked": "7"}] * 2
    borne = {"bad_timestamp": 0.5, "default": 0.01}
    message = error_of(tmp_path, dirty_log, catalogue(30), settings={"max_rejected": borne})
    assert "2 of 112 interactions are rejected, most of them (2) as bad_clicked" in message


def test_no_clicks(tmp_path):
    log = [row | {"clicked": "0"} for row in random_log(1, rows=50)]
    assert "no clicks" in error_of(tmp_path, log, catalogue(30))


def test_all_at_one_moment_leaves_no_test_split(tmp_path):
    log = [row | {"timestamp": "77", "page_id": ""} for row in random_log(1, rows=50)]
    assert "validation part" in error_of(tmp_path, log, catalogue(30))


def test_no_tensorflow_io(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_io", None)
    items = [*catalogue(30), {"item_id": "w", "image": photo(form="WEBP")}]
    message = error_of(tmp_path, random_log(1, rows=50), items)
    assert "tensorflow-io" in message and "items.csv:32" in message
    assert images.NEEDS_TENSORFLOW_IO not in message


@pytest.mark.parametrize("names", [("device", "device"), ("user_id",), ("../x",), ("a b",)])
def test_feature_names_that_cannot_be_files(tmp_path, names):
    assert "feature name" in error_of(tmp_path, [], [], context=names)


def test_folder_in_use(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").write_text("")
    assert "not empty" in error_of(tmp_path, [], [])
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["old"]
