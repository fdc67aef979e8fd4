"""What is held at once stays bounded, whatever one user, page, item or day brings."""

from __future__ import annotations

import random
import tracemalloc
from collections import Counter

import pytest
from prepare_cases import DAY, MemorySource, photo, random_log, read, rejects

from tfrec_vis.prepare import PrepareSettings, prepare
from tfrec_vis.prepare.cuts import _cuts, days_of_cuts, find_cuts
from tfrec_vis.prepare.history import ClickHistory
from tfrec_vis.prepare.items import ChooseItem, Item
from tfrec_vis.prepare.negatives import ClickPool, thin
from tfrec_vis.prepare.sorting import sort_bounded
from tfrec_vis.prepare.users import MergeRows
from tfrec_vis.prepare.validate import Row


class Rows:
    """Made anew in each pass, as Beam reads the values of a large group."""

    def __init__(self, count, make):
        self.count, self.make = count, make

    def __iter__(self):
        return map(self.make, range(self.count))


def outputs(found):
    """Main elements, counts and rejects of a DoFn, rejects with how often each comes."""
    main, counts, rejected = [], Counter(), Counter()
    for element in found:
        tag = getattr(element, "tag", None)
        if tag == "counts":
            counts[element.value[0]] += element.value[1][0]
        elif tag == "rejects":
            rejected[element.value] += 1
        else:
            main.append(element)
    return main, counts, rejected


def peak_mb(run):
    tracemalloc.start()
    try:
        result = run()
        return result, tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


def count_rejects(merge, rows):
    """Runs a merge to its end without keeping what it gives."""
    rejected, kept = 0, None
    for element in merge.process(("u", rows)):
        if getattr(element, "tag", None) == "rejects":
            rejected += 1
        elif not hasattr(element, "tag"):
            kept = len(element[1])
    return rejected, kept


def test_a_user_with_many_rows_is_held_in_part():
    def row(number):
        return number * 7919 % 20_000, f"p{number}", "i", 1, ()

    (rejected, kept), peak = peak_mb(lambda: count_rejects(MergeRows(200), Rows(20_000, row)))
    assert (rejected, kept) == (19_800, 200)
    assert peak < 1
    _, unbounded = peak_mb(lambda: count_rejects(MergeRows(10**9), Rows(5_000, row)))
    assert unbounded > 2 * peak


@pytest.mark.parametrize("seed", range(5))
def test_rows_beyond_the_limit_do_not_depend_on_the_order(seed):
    rng = random.Random(seed)
    rows = [
        (rng.randrange(20), f"p{rng.randrange(3)}", f"i{rng.randrange(3)}", rng.randrange(2), ())
        for _ in range(200)
    ]
    distinct = sorted({row[:3] for row in rows})
    limit = rng.randrange(1, 40)
    main, counts, rejected = outputs(MergeRows(limit).process(("u", rows)))
    assert [row[:3] for row in main[0][1]] == distinct[:limit]
    for row in main[0][1]:
        assert row[3] == max(other[3] for other in rows if other[:3] == row[:3])
    inside = sum(row[:3] in distinct[:limit] for row in rows)
    assert counts["interactions", "kept"] == limit
    assert counts["interactions", "merged"] == inside - limit
    assert sum(rejected.values()) == len(rows) - inside
    rng.shuffle(rows)
    assert outputs(MergeRows(limit).process(("u", rows))) == (main, counts, rejected)


def test_an_item_with_many_rows_is_held_in_part():
    def row(number):
        image = bytes([number % 3]) * 10_000
        return tuple(Item("a", image, "title", "", (), f"items.csv:{number + 2}"))

    def run():
        kinds = Counter()
        for element in ChooseItem().process(("a", Rows(3_000, row))):
            kinds[getattr(element, "tag", "kept")] += 1
        return kinds

    kinds, peak = peak_mb(run)
    assert kinds == {"kept": 1, "counts": 999, "rejects": 2_000}
    assert peak < 1


def test_sorting_holds_a_part_and_gives_all():
    rng = random.Random(0)
    values = [rng.randrange(10**6) for _ in range(40_000)]

    def run():
        in_order = sort_bounded(
            ((value, b"x" * 1000) for value in values), lambda pair: 1000, in_memory=1 << 20
        )
        return [value for value, _ in in_order]

    found, peak = peak_mb(run)
    assert found == sorted(values)
    assert peak < 5
    assert list(sort_bounded([], len)) == [] and list(sort_bounded("cab", len)) == ["a", "b", "c"]


@pytest.mark.parametrize("seed", range(30))
def test_cuts_from_few_days(seed):
    rng = random.Random(seed)
    span = rng.choice([3600, DAY, 40 * DAY])
    times = Counter(rng.randrange(0, span, rng.choice([1, 60, DAY])) for _ in range(200))
    fractions = (0.6, 0.7, 0.8)
    days = Counter()
    for moment, count in times.items():
        days[moment // DAY] += count
    chosen = days_of_cuts(days.items(), fractions)
    assert len(chosen) <= 2 * len(fractions)
    seconds = [(moment, count) for moment, count in times.items() if moment // DAY in chosen]
    assert _cuts(days.items(), seconds, chosen, fractions) == find_cuts(times.items(), fractions)


def test_no_clicks_have_no_cuts():
    assert days_of_cuts([], (0.6, 0.7, 0.8)) == set()
    assert _cuts([], [], set(), (0.6, 0.7, 0.8)) == ()


def test_the_pool_of_many_days_is_bounded_and_keeps_the_days_weights():
    days = [(1000, [(n * DAY + i, f"i{i % 7}", f"u{i}") for i in range(50)]) for n in range(40)]
    numbers = {0: 10, 1: 4, 2: 6, 3: 20}
    keys = [(part, n) for part, number in numbers.items() for n in range(number)]
    thinned = [thin(day, numbers, 800) for day in zip(keys, days, strict=True)]
    sizes = {0: 20, 1: 50, 2: 33, 3: 10}  # a quarter of 800 for each part
    assert [len(sample) for _, sample in thinned] == [sizes[part] for part, _ in keys]
    assert all(set(sample) <= set(day[1]) for (_, sample), day in zip(thinned, days, strict=True))
    assert all(sample == sorted(sample) for _, sample in thinned)
    assert ClickPool(thinned)._total[-1] == pytest.approx(40_000)
    assert thin((keys[0], days[0]), numbers, 10**6) == days[0]
    assert len(thin((keys[0], days[0]), numbers, 3)[1]) == 1


def test_histories_forward_and_back():
    rng = random.Random(1)
    rows = [
        Row(rng.randrange(30), "p", f"i{rng.randrange(6)}", rng.randrange(2)) for _ in range(99)
    ]
    clicks = ClickHistory(rows)
    for moment in [*range(0, 32, 3), *(rng.randrange(32) for _ in range(50))]:
        latest = {}
        for row in rows:
            if row.clicked and row.timestamp < moment and row.item_id != "i2":
                latest[row.item_id] = max(row.timestamp, latest.get(row.item_id, -1))
        expected = sorted(latest, key=lambda item: (-latest[item], item))[:4]
        assert clicks.before(moment, {"i2"}, 4) == expected


def test_a_page_of_many_items_and_a_user_of_many_rows(tmp_path):
    """Of 3,000 items shown at once, 2,500 rows are kept; 100 more rows of the user are not."""
    image = photo(size=(2, 2))
    items = [{"item_id": f"{n:04d}", "image": image} for n in range(3_000)]
    page = [
        {"user_id": "robot", "item_id": item["item_id"], "timestamp": "5", "clicked": n % 2}
        for n, item in enumerate(items)
    ]
    later = [{**page[0], "timestamp": str(6 + n)} for n in range(100)]
    log = random_log(1, rows=6_000, users=60) + later + page
    settings = PrepareSettings(max_user_rows=2_500, max_rejected=0.5)
    manifest = prepare(MemorySource(log, items), tmp_path / "out", settings)
    fate = manifest["interactions"]
    assert fate["rejected"] == {"too_many_rows": 600}
    assert fate["read"] == len(log) == fate["kept"] + fate["merged"] + 600
    lines = rejects(tmp_path / "out", "interactions")
    assert len(lines) == 600
    assert {line["source"] for line in lines} == {"user robot"}
    assert {line["line"] for line in lines} == {5, *range(6, 106)}
    pages = [page for page in read(tmp_path / "out", "pages-pretrain")
             if page["user_id"] == b"robot"]  # fmt: skip
    assert len(pages) == 1_250 / 5 and all(len(page["shown"]) == 5 for page in pages)
    assert sum(sum(page["clicked"]) for page in pages) == 1_250
