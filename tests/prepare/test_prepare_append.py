"""Adding a day and items gives what preparing all at once with the same cuts gives."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace

import pytest
from prepare_cases import DAY, MemorySource, by_item_id, catalogue, random_log, read, rejects

from tfrec_vis.errors import InputError
from tfrec_vis.prepare import PrepareSettings, prepare
from tfrec_vis.prepare.previous import Previous
from tfrec_vis.sources.source import RawRow

SETTINGS = PrepareSettings(shards=2, max_history=6, image_size=16)


def words(folder):
    return {path.name: path.read_text() for path in (folder / "vocabulary").iterdir()}


def grow(folder, labels):
    """A preparation, what is added, and all of it prepared at once with the same cuts."""
    items = catalogue(40)
    new_items, old_items = items[::4], [item for n, item in enumerate(items) if n % 4]
    log = random_log(7, items=40, labels=labels)
    new_names = {item["item_id"] for item in new_items}
    old_log = [row for row in log if row["item_id"] not in new_names]
    old_log += [{**old_log[0], "timestamp": "soon"}] * 2
    new_log = [
        {**row, "timestamp": str(int(row["timestamp"]) + 12 * DAY)}
        for row in random_log(8, items=40, span=DAY, rows=80, labels=labels)
    ]
    new_log += [{**new_log[0], "item_id": "nowhere"}, old_log[1], {**old_log[2], "device": "other"}]
    new_items = [*new_items, {"item_id": "broken", "image": b"x"}]
    base = folder / "base"
    before = prepare(MemorySource(old_log, old_items, labels), base, SETTINGS)
    source = MemorySource(old_log + new_log, old_items + new_items, labels)
    whole = folder / "whole"
    at_once = prepare(source, whole, SETTINGS, cuts=before["cuts"])
    return labels, base, before, (new_log, new_items), whole, at_once


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    return grow(tmp_path_factory.mktemp("labelled"), True)


@pytest.mark.parametrize("kind, passes", [("labelled", 1), ("clicks only", 2)])
def test_append_gives_what_all_at_once_gives(request, tmp_path, kind, passes):
    is_labelled = kind == "labelled"
    grown = request.getfixturevalue(kind) if is_labelled else grow(tmp_path, False)
    labels, base, before, added, whole, at_once = grown
    out = tmp_path / "out"
    settings = replace(SETTINGS, passes=passes)
    manifest = prepare(MemorySource(*added, labels), out, settings, append_to=base)
    found, items, numbers = by_item_id(out)
    expected, expected_items, _ = by_item_id(whole)
    assert found == expected and items == expected_items
    _, _, numbers_before = by_item_id(base)
    assert numbers_before.items() <= numbers.items()
    assert sorted(numbers.values()) == list(range(1, len(numbers) + 1))
    new = sorted(set(numbers) - set(numbers_before))
    assert [numbers[name] for name in new] == list(range(len(numbers_before) + 1, len(numbers) + 1))
    assert words(out) == words(whole)
    for key in ("interactions", "items", "cuts", "splits", "negatives", "item_count"):
        assert manifest[key] == at_once[key]
    assert before["appended_to"] == at_once["appended_to"] == []
    old = hashlib.sha256((base / "manifest.json").read_bytes()).hexdigest()
    assert manifest["appended_to"] == [old]
    assert manifest["cuts"] == before["cuts"]
    assert manifest["interactions"]["rejected"] == {"bad_timestamp": 2, "unknown_item": 1}
    assert len(rejects(out, "interactions")) == 3 and len(rejects(out, "items")) == 1
    assert manifest["splits"]["test"]["clicks"] > before["splits"]["test"]["clicks"]


def test_all_rows_again_change_no_record(labelled, tmp_path):
    """A wildcard that still holds the old files."""
    labels, _, _, added, whole, _ = labelled
    out = tmp_path / "out"
    prepare(MemorySource(*added, labels), out, SETTINGS, append_to=whole)
    assert by_item_id(out) == by_item_id(whole)


def test_cuts_can_be_moved(labelled, tmp_path):
    labels, base, before, added, *_ = labelled
    cuts = [cut + DAY for cut in before["cuts"]]
    out = tmp_path / "out"
    manifest = prepare(MemorySource(*added, labels), out, SETTINGS, append_to=base, cuts=cuts)
    assert manifest["cuts"] == cuts
    assert all(row["timestamp"] >= cuts[2] for row in read(out, "impressions-test"))


def test_the_allowance_is_for_what_is_added(labelled, tmp_path):
    """Few among all rows, too many among the new ones; the example is new as well."""
    labels, base, _, (log, items), *_ = labelled
    bad = [RawRow(f"new.csv:{n}", {**log[0], "timestamp": f"late{n}"}) for n in range(5)]
    with pytest.raises(InputError, match="^5 of 15 interactions are rejected") as error:
        prepare(MemorySource(log[:10] + bad, items, labels), tmp_path / "a", SETTINGS, (), base)
    assert "(5) as bad_timestamp, such as new.csv:0" in str(error.value)


@pytest.mark.parametrize("kind", ["interactions", "items"])
def test_what_is_added_may_not_be_nothing(labelled, tmp_path, kind):
    labels, base, _, (log, items), *_ = labelled
    if kind == "interactions":
        log = [{**log[0], "timestamp": "late"}] * 3
    else:
        items = [{"item_id": f"broken {n}", "image": b"x"} for n in range(3)]
    settings = replace(SETTINGS, max_rejected=1)
    with pytest.raises(InputError, match=f"no {kind} are left of 3 read"):
        prepare(MemorySource(log, items, labels), tmp_path / "out", settings, (), base)


@pytest.mark.parametrize("name", ["items-00000-of-00002.tfrecord", "vocabulary/brand.txt"])
@pytest.mark.parametrize("damage", ["changed", "cut short", "missing"])
def test_damaged_files_are_named(labelled, tmp_path, name, damage):
    labels, base, _, added, *_ = labelled
    path = shutil.copytree(base, tmp_path / "base") / name
    stored = path.read_bytes()
    path.write_bytes({"changed": stored[:-1] + b"?"}.get(damage, stored[:-1]))
    if damage == "missing":
        path.unlink()
    told = "missing" if damage == "missing" else "not as it was written"
    with pytest.raises(InputError, match=f"{name} is {told}.*; restore it .*prepare all data"):
        source = MemorySource(*added, labels)
        prepare(source, tmp_path / "out", SETTINGS, append_to=tmp_path / "base")
    assert not (tmp_path / "out").exists()


def test_a_part_without_clicks_names_the_cuts(labelled, tmp_path):
    labels, base, before, added, *_ = labelled
    cuts = [*before["cuts"][:2], 100 * DAY]
    with pytest.raises(InputError, match="in its test part .*move the cuts with --cuts") as error:
        prepare(MemorySource(*added, labels), tmp_path / "out", SETTINGS, append_to=base, cuts=cuts)
    assert str(cuts) in str(error.value) and "prepare.splits" not in str(error.value)


def test_a_log_without_sampled_rows_is_not_taken_for_one_with_labels(tmp_path):
    """Nothing is sampled with ``negatives: 0`` and in logs with labels alike."""
    settings = replace(SETTINGS, negatives=0)
    log = random_log(7, labels=False)
    base = tmp_path / "base"
    assert prepare(MemorySource(log, catalogue(30), False), base, settings)["has_labels"] is False
    Previous(str(base)).check(MemorySource([], [], False), SETTINGS)
    with pytest.raises(InputError, match="from a log without labels"):
        Previous(str(base)).check(MemorySource([], [], True), settings)


@pytest.mark.parametrize("key", ["appended", "has_labels", "checksums"])
def test_a_folder_of_an_older_version(labelled, tmp_path, key):
    _, base, *_ = labelled
    manifest = json.loads((base / "manifest.json").read_text())
    del manifest[key]
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=f"older version .*no '{key}'.*prepare all data again"):
        Previous(str(tmp_path))


@pytest.mark.parametrize(
    "change, words",
    [
        ({"settings": replace(SETTINGS, image_size=32)}, "prepare.image_size 16, not 32"),
        ({"features": ("colour",)}, "item_features"),
        ({"context": ()}, "context_features"),
        ({"other_labels": True}, "labels"),
        ({"cuts": [3, 2, 1]}, "three rising timestamps"),
        ({"base": "nothing"}, "no prepared data to append to"),
    ],
)
def test_what_does_not_fit(labelled, tmp_path, change, words):
    labels, base, _, added, *_ = labelled
    if "base" in change:
        base = tmp_path / change["base"]
    kind = {name: change[name] for name in ("features", "context") if name in change}
    source = MemorySource(*added, labels != ("other_labels" in change), **kind)
    settings, cuts = change.get("settings", SETTINGS), change.get("cuts")
    with pytest.raises(InputError, match=words) as error:
        prepare(source, tmp_path / "out", settings, append_to=base, cuts=cuts)
    assert "\n" not in str(error.value)
