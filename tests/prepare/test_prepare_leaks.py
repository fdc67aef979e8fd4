"""The rules of the prepared data, checked by plain loops over random logs."""

from __future__ import annotations

from collections import Counter

import pytest
from prepare_cases import DAY, MemorySource, catalogue, random_log, raw_records, read
from prepare_truth import STEMS, Truth, check_impressions, check_pages, check_sampled_items

from tfrec_vis.prepare import PrepareSettings, prepare

ITEMS = 30
SETTINGS = PrepareSettings(
    shards=2, max_history=6, page_history=3, max_shown=3, negatives=3, negatives_window_days=2
)


@pytest.fixture(scope="module", params=[True, False], ids=["labelled", "clicks only"])
def prepared(request, tmp_path_factory):
    labels = request.param
    log = random_log(seed=3, labels=labels)
    folder = tmp_path_factory.mktemp("prepared") / "out"
    manifest = prepare(MemorySource(log, catalogue(ITEMS), labels), folder, SETTINGS)
    return labels, log, Truth(log, labels), folder, manifest


def test_cuts_and_counts(prepared):
    labels, log, truth, folder, manifest = prepared
    assert manifest["cuts"] == truth.cuts
    fate = manifest["interactions"]
    assert fate == {
        "read": len(log),
        "kept": len(truth.rows),
        "merged": len(log) - len(truth.rows),
        "rejected": {},
    }
    for split in ("train", "validation", "test"):
        records = read(folder, f"impressions-{split}")
        assert manifest["splits"][split] == {
            "rows": len(records),
            "clicks": sum(record["clicked"] for record in records),
            "users": len({record["user_id"] for record in records}),
        }
    pages = read(folder, "pages-pretrain")
    assert manifest["splits"]["pretrain"] == {
        "pages": len({(page["user_id"], page["page_id"]) for page in pages}),
        "records": len(pages),
        "clicks": sum(sum(page["clicked"]) for page in pages),
    }


def test_impressions(prepared):
    _, _, truth, folder, _ = prepared
    check_impressions(truth, folder, SETTINGS)


def test_pages(prepared):
    _, _, truth, folder, _ = prepared
    check_pages(truth, folder, SETTINGS)


def test_items(prepared):
    _, _, truth, folder, manifest = prepared
    records = read(folder, "items")
    assert sorted(record["item_index"] for record in records) == list(range(1, ITEMS + 1))
    for record in records:
        item = record["item_id"].decode()
        assert record["item_index"] == int(item) + 1
        times = [key[2] for key in truth.rows if key[1] == item]
        assert record["first_seen"] == min(times, default=-1)
        assert record["brand"].decode() == f"b{int(item) % 4}"
    assert manifest["item_count"] == ITEMS


def test_sampled_items_are_legal(prepared):
    labels, _, truth, folder, manifest = prepared
    sampled = check_sampled_items(truth, folder, manifest, SETTINGS)
    assert labels or sampled > SETTINGS.negatives * len(truth.clicks) / 2


def test_vocabularies(prepared):
    _, log, truth, folder, _ = prepared
    early = [row for row in log if int(row["timestamp"]) < truth.cuts[1]]

    def words(name):
        return (folder / "vocabulary" / f"{name}.txt").read_text().splitlines()

    assert words("user_id") == sorted({row["user_id"] for row in early})
    assert words("device") == ["desk", "phone"]
    assert words("brand") == ["b0", "b1", "b2", "b3"]
    assert words("category") == ["kind 0", "kind 1", "kind 2"]


def test_same_records_in_any_order_and_number_of_shards(prepared, tmp_path):
    labels, log, _, folder, _ = prepared
    other = tmp_path / "other"
    source = MemorySource(log[::-1], catalogue(ITEMS)[::-1], labels)
    prepare(source, other, PrepareSettings(**{**SETTINGS.__dict__, "shards": 3}))
    for stem in ("items", "pages-pretrain", *STEMS):
        assert raw_records(folder, stem) == raw_records(other, stem)


def test_nothing_before_a_cut_depends_on_what_follows(prepared, tmp_path):
    labels, log, truth, folder, _ = prepared
    # A permutation of the items: as many rows are merged as before.
    changed = [
        {**row, "item_id": f"{(int(row['item_id']) + 7) % ITEMS:04d}"}
        if int(row["timestamp"]) >= truth.cuts[1]
        else row
        for row in log
    ]
    other = tmp_path / "other"
    manifest = prepare(MemorySource(changed, catalogue(ITEMS), labels), other, SETTINGS)
    assert manifest["cuts"] == truth.cuts
    for stem in ("pages-pretrain", "impressions-train"):
        assert raw_records(folder, stem) == raw_records(other, stem)
    assert raw_records(folder, STEMS[2]) != raw_records(other, STEMS[2])


def test_bounded_samples_before_a_cut_do_not_depend_on_what_follows(tmp_path):
    """On the day of the cut others click other things after it, and the log goes on for longer."""
    log = random_log(seed=4, rows=800, labels=False)
    cuts = [6 * DAY, 8 * DAY + DAY // 2, 10 * DAY]
    early = [row for row in log if int(row["timestamp"]) < cuts[1]]
    late = [row for row in log if int(row["timestamp"]) >= cuts[1]]
    later = [
        {**row, "item_id": "0001", "timestamp": str(int(row["timestamp"]) + days * DAY)}
        for row in late
        for days in (0, 5, 10)
    ]
    bounds = {"sample_per_day": 8, "sample_in_all": 80, "max_shown": 30, "image_size": 16}
    settings = PrepareSettings(**{**SETTINGS.__dict__, **bounds})
    stored = []
    for name, rest in (("as it is", late), ("changed", later)):
        out = tmp_path / name
        prepare(MemorySource(early + rest, catalogue(ITEMS), False), out, settings, cuts=cuts)
        assert sum(not row["clicked"] for row in read(out, STEMS[0])) > 500
        shown = read(out, STEMS[0])
        stored.append(
            Counter((r["user_id"], r["page_id"], r["timestamp"], r["item_index"]) for r in shown)
        )
    assert stored[0] == stored[1]
