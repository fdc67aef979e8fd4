"""What prepared records have to be, by plain loops over a log of good rows."""

from __future__ import annotations

import math
from collections import Counter, defaultdict

from prepare_cases import DAY, read

STEMS = ("impressions-train", "impressions-validation", "impressions-test")


class Truth:
    """The log as merged rows {(user, item, timestamp, page): clicked}, and what follows."""

    def __init__(self, log, labels):
        self.labels = labels
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
            self.cuts.append(min((time for time in times if time > kth), default=kth + 1))

    def history(self, user, moment, exclude, limit):
        latest = {}
        for who, item, time, _ in self.clicks:
            if who == user and time < moment and item not in exclude:
                latest[item] = max(latest.get(item, 0), time)
        return sorted(latest, key=lambda item: (-latest[item], item))[:limit]

    def split(self, moment):
        return STEMS[(moment >= self.cuts[1]) + (moment >= self.cuts[2])]

    def splits_with_clicks(self):
        """Of pre-training, train, validation and test."""
        found = {self.split(key[2]) for key in self.clicks}
        return found | {"pretrain" for key in self.clicks if key[2] < self.cuts[0]}


def item_ids(folder):
    return {record["item_index"]: record["item_id"].decode() for record in read(folder, "items")}


def impressions(folder):
    """All impressions as (file stem, record, key), with ids as in the log."""
    ids = item_ids(folder)
    for stem in STEMS:
        for record in read(folder, stem):
            user, page = record["user_id"].decode(), record["page_id"].decode()
            yield stem, record, (user, ids[record["item_index"]], record["timestamp"], page)


def check_impressions(truth, folder, settings):
    ids = item_ids(folder)
    found = Counter()
    for stem, record, key in impressions(folder):
        user, item, moment, _ = key
        if truth.labels or record["clicked"]:
            found[key] += 1
            assert record["clicked"] == truth.rows[key]
        assert stem == truth.split(moment)
        expected = truth.history(user, moment, {item}, settings.max_history)
        assert [ids[index] for index in record["history"]] == expected
        assert record["in_pretraining"] == (moment < truth.cuts[0])
        clicked = [time for _, other, time, _ in truth.clicks if other == item]
        assert record["item_seen_in_training"] == any(time < truth.cuts[1] for time in clicked)
    assert found == Counter(dict.fromkeys(truth.rows, 1))


def check_pages(truth, folder, settings):
    ids = item_ids(folder)
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
        clicked = {item for item, (_, label) in rows.items() if label}
        unclicked = set(rows) - clicked
        history = truth.history(user, moment, set(rows), settings.page_history)
        found = []
        for record in records[user, page]:
            assert record["timestamp"] == moment
            assert [ids[index] for index in record["history"]] == history
            assert 1 <= len(record["shown"]) == len(record["clicked"]) <= settings.max_shown
            shown = [ids[index] for index in record["shown"]]
            found += zip(shown, record["clicked"], strict=True)
        assert len(records[user, page]) == max(1, math.ceil(len(clicked) / settings.max_shown))
        assert sorted(item for item, label in found if label) == sorted(clicked)
        chosen = [item for item, label in found if not label]
        room = len(records[user, page]) * settings.max_shown - len(clicked)
        assert len(chosen) == len(set(chosen)) == min(room, len(unclicked))
        assert set(chosen) <= unclicked


def check_sampled_items(truth, folder, manifest, settings):
    """Gives the number of sampled items."""
    written = Counter()
    on_page = defaultdict(set)
    sampled = []
    for _, record, key in impressions(folder):
        user, item, moment, page = key
        on_page[user, page].add(item)
        if not record["clicked"]:
            sampled.append(key)
            written[user, moment, page] += 1
    if truth.labels:
        assert manifest["negatives"] == {"wanted": 0, "written": 0}
        return 0
    wanted = Counter((user, moment, page) for user, _, moment, page in truth.clicks)
    assert manifest["negatives"] == {
        "wanted": settings.negatives * len(truth.clicks),
        "written": len(sampled),
    }
    assert len({(user, item, page) for user, item, _, page in sampled}) == len(sampled)
    window = settings.negatives_window_days * DAY

    def eligible(user, moment):
        cut = min((cut for cut in truth.cuts if cut > moment), default=math.inf)
        inside = [
            (who, item)
            for who, item, time, _ in truth.clicks
            if moment <= time <= moment + window and time < cut
        ]
        own = {
            item
            for who, item, time, _ in truth.clicks
            if who == user and time <= moment + window and time < cut
        }
        return {item for who, item in inside if who != user} - own

    for user, item, moment, page in sampled:
        assert (user, moment, page) in wanted
        assert item in eligible(user, moment)
    for (user, moment, page), clicks in wanted.items():
        number = written[user, moment, page]
        assert number <= clicks * settings.negatives
        if number < clicks * settings.negatives:
            assert eligible(user, moment) <= on_page[user, page]
    return len(sampled)
