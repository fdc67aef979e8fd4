"""The rules of the prepared data, checked by plain loops over random logs."""

from __future__ import annotations

import math
from collections import Counter, defaultdict

import pytest
from prepare_cases import DAY, MemorySource, catalogue, random_log, raw_records, read

from tfrec_vis.prepare import PrepareSettings, prepare

ITEMS = 30
SETTINGS = PrepareSettings(
    shards=2, max_history=6, page_history=3, max_shown=3, negatives=3, negatives_window_days=2
)
STEMS = ("impressions-train", "impressions-validation", "impressions-test")


class Truth:
    """The log as merged rows {(user, item, timestamp, page): clicked}, and what follows."""

    def __init__(self, log, labels):
        self.rows = {}
        for row in log:
            moment = int(row["timestamp"])
            page = row["page_id"] or f"{row['user_id']}@{moment}"
            key = (row["user_id"], row["item_id"], moment, page)
            clicked = int(row["clicked"]) if labels else 1
            self.rows[key] = max(self.rows.get(key, 0), clicked)
        self.clicks = [key for key, clicked in self.rows.items() if clicked]
        times = sorted(key[2] for key in self.clicks)
        self.cuts = []
        for tenths in (6, 7, 8):
            kth = times[-(-tenths * len(times) // 10) - 1]
            self.cuts.append(min(time for time in times if time > kth))

    def history(self, user, moment, exclude, limit):
        latest = {}
        for who, item, time, _ in self.clicks:
            if who == user and time < moment and item not in exclude:
                latest[item] = max(latest.get(item, 0), time)
        return sorted(latest, key=lambda item: (-latest[item], item))[:limit]

    def split(self, moment):
        return STEMS[(moment >= self.cuts[1]) + (moment >= self.cuts[2])]


@pytest.fixture(scope="module", params=[True, False], ids=["labelled", "clicks only"])
def prepared(request, tmp_path_factory):
    labels = request.param
    log = random_log(seed=3, labels=labels)
    folder = tmp_path_factory.mktemp("prepared") / "out"
    manifest = prepare(MemorySource(log, catalogue(ITEMS), labels), folder, SETTINGS)
    return labels, log, Truth(log, labels), folder, manifest


def impressions(folder):
    """All impressions as (file stem, record, key), with ids as in the log."""
    for stem in STEMS:
        for record in read(folder, stem):
            item = f"{record['item_index'] - 1:04d}"
            user, page = record["user_id"].decode(), record["page_id"].decode()
            yield stem, record, (user, item, record["timestamp"], page)


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
    labels, _, truth, folder, _ = prepared
    found = Counter()
    for stem, record, key in impressions(folder):
        user, item, moment, _ = key
        if labels or record["clicked"]:
            found[key] += 1
            assert record["clicked"] == truth.rows[key]
        assert stem == truth.split(moment)
        expected = truth.history(user, moment, {item}, SETTINGS.max_history)
        assert record["history"] == [int(item) + 1 for item in expected]
        assert record["in_pretraining"] == (moment < truth.cuts[0])
        clicked = [time for _, other, time, _ in truth.clicks if other == item]
        assert record["item_seen_in_training"] == any(time < truth.cuts[1] for time in clicked)
    assert found == Counter(dict.fromkeys(truth.rows, 1))


def test_pages(prepared):
    _, _, truth, folder, _ = prepared
    shown_on = defaultdict(dict)
    for _, record, (user, item, moment, page) in impressions(folder):
        if moment < truth.cuts[0]:
            rows = shown_on[user, page]
            time, clicked = rows.get(item, (math.inf, 0))
            rows[item] = (min(time, moment), max(clicked, record["clicked"]))
    records = defaultdict(list)
    for page in read(folder, "pages-pretrain"):
        records[page["user_id"].decode(), page["page_id"].decode()].append(page)
    assert records.keys() == shown_on.keys()
    for (user, page), rows in shown_on.items():
        moment = min(time for time, _ in rows.values())
        clicked = {int(item) + 1 for item, (_, label) in rows.items() if label}
        unclicked = {int(item) + 1 for item in rows} - clicked
        history = truth.history(user, moment, set(rows), SETTINGS.page_history)
        found = []
        for record in records[user, page]:
            assert record["timestamp"] == moment
            assert record["history"] == [int(item) + 1 for item in history]
            assert 1 <= len(record["shown"]) == len(record["clicked"]) <= SETTINGS.max_shown
            found += zip(record["shown"], record["clicked"], strict=True)
        assert len(records[user, page]) == max(1, math.ceil(len(clicked) / SETTINGS.max_shown))
        assert sorted(item for item, label in found if label) == sorted(clicked)
        chosen = [item for item, label in found if not label]
        room = len(records[user, page]) * SETTINGS.max_shown - len(clicked)
        assert len(chosen) == len(set(chosen)) == min(room, len(unclicked))
        assert set(chosen) <= unclicked


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
    written = Counter()
    on_page = defaultdict(set)
    sampled = []
    for _, record, key in impressions(folder):
        user, item, moment, page = key
        on_page[user, page].add(item)
        if not record["clicked"]:
            sampled.append(key)
            written[user, moment, page] += 1
    if labels:
        assert manifest["negatives"] == {"wanted": 0, "written": 0}
        return
    wanted = Counter((user, moment, page) for user, _, moment, page in truth.clicks)
    assert manifest["negatives"] == {
        "wanted": SETTINGS.negatives * len(truth.clicks),
        "written": len(sampled),
    }
    assert len(sampled) > SETTINGS.negatives * len(truth.clicks) / 2
    assert len({(user, item, page) for user, item, _, page in sampled}) == len(sampled)

    def eligible(user, moment):
        cut = min((cut for cut in truth.cuts if cut > moment), default=math.inf)
        inside = [
            (who, item)
            for who, item, time, _ in truth.clicks
            if moment <= time <= moment + 2 * DAY and time < cut
        ]
        own = {
            item
            for who, item, time, _ in truth.clicks
            if who == user and time <= moment + 2 * DAY and time < cut
        }
        return {item for who, item in inside if who != user} - own

    for user, item, moment, page in sampled:
        assert (user, moment, page) in wanted
        assert item in eligible(user, moment)
    for (user, moment, page), clicks in wanted.items():
        number = written[user, moment, page]
        assert number <= clicks * SETTINGS.negatives
        if number < clicks * SETTINGS.negatives:
            assert eligible(user, moment) <= on_page[user, page]


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
