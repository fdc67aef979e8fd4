"""Drawing un-clicked items."""

from __future__ import annotations

import random
from collections import Counter

from tfrec_vis.prepare.negatives import ClickPool, SampleClicks, sample_negatives
from tfrec_vis.prepare.validate import Row

CLICKS = [(n, item, f"u{n}") for n, item in enumerate("aaaaaabbbcdd")]


def pool(clicks=CLICKS):
    return ClickPool([(len(clicks), sorted(clicks))])


def draw(user="me", first=0, last=99, allowed=lambda item: True, count=1, seed=0, clicks=CLICKS):
    return pool(clicks).draw(user, first, last, allowed, count, random.Random(seed))


def test_draws_by_click_frequency():
    found = Counter(draw(seed=seed)[0] for seed in range(4000))
    for item, clicks in Counter("aaaaaabbbcdd").items():
        assert abs(found[item] / 4000 - clicks / 12) < 0.03


def test_draws_without_replacement_follow_the_same_law():
    """P(b second | a first) = 3 / 6, also where the last items are found by weighing all."""
    second = [draw(count=2, seed=seed) for seed in range(4000)]
    after_a = Counter(b for a, b in second if a == "a")
    assert abs(after_a["b"] / sum(after_a.values()) - 3 / 6) < 0.04
    rare = [(0, "x", "u")] * 10_000 + [(0, "y", "v")] * 3 + [(0, "z", "v")]
    found = Counter(
        tuple(draw(clicks=rare, count=1, allowed=lambda item: item != "x", seed=seed))
        for seed in range(200)
    )
    assert abs(found[("y",)] / 200 - 3 / 4) < 0.12 and sum(found.values()) == 200


def test_takes_everything_that_is_allowed_and_no_more():
    assert sorted(draw(count=9)) == ["a", "b", "c", "d"]
    assert sorted(draw(count=9, first=6, last=9)) == ["b", "c"]
    assert draw(count=9, first=9, last=9, user="u9") == []
    assert sorted(draw(count=9, allowed=lambda item: item > "b")) == ["c", "d"]
    assert draw(first=50) == []
    assert ClickPool([]).draw("me", 0, 9, lambda item: True, 3, random.Random(0)) == []


def test_sampled_days_keep_their_weight():
    """1,000 clicks of which 10 were kept outweigh 100 of which 10 were kept."""
    day = ClickPool([(1000, [(1, "a", "u")] * 10), (100, [(2, "b", "u")] * 10)])
    found = Counter(
        day.draw("me", 0, 9, lambda item: True, 1, random.Random(seed))[0] for seed in range(2000)
    )
    assert abs(found["a"] / 2000 - 10 / 11) < 0.03


def test_sample_is_bounded_and_the_same_however_it_is_merged():
    rng = random.Random(0)
    elements = [(rng.randrange(10**6), (n, f"i{n}", "u")) for n in range(500)]
    combine = SampleClicks(20)

    def sample(parts):
        filled = []
        for part in parts:
            accumulator = combine.create_accumulator()
            for element in part:
                accumulator = combine.add_input(accumulator, element)
                assert len(accumulator[1]) < 2 * 20
            filled.append(accumulator)
        return combine.extract_output(combine.merge_accumulators(filled))

    whole = sample([elements])
    assert whole == sample([elements[:7], elements[:6:-1]])
    assert whole == (500, sorted(click for _, click in sorted(elements)[:20]))


def test_window_is_closed_and_ends_before_the_next_cut():
    me = [Row(10, "p", "mine", 1, ("ctx",))]
    for moment, inside in ((9, False), (10, True), (14, True), (15, False), (16, False)):
        clicks = [(moment, "other", "you"), (10, "mine", "me")]
        options = {"seed": 0, "negatives": 4, "window_days": 5 / 86_400}
        found = sample_negatives("me", me, pool(sorted(clicks)), (3, 15, 20), **options)
        assert found == ([Row(10, "p", "other", 0, ("ctx",))] if inside else [])


def test_own_later_clicks_in_the_window_are_left_out():
    clicks = [(10, "mine", "me"), (11, "soon", "me"), (19, "late", "me")]
    clicks += [(12, "soon", "you"), (12, "late", "you")]
    rows = [Row(moment, f"p{moment}", item, 1) for moment, item, who in clicks if who == "me"]
    options = {"seed": 0, "negatives": 4, "window_days": 5 / 86_400}
    found = sample_negatives("me", rows, pool(sorted(clicks)), (100, 200, 300), **options)
    assert [(row.timestamp, row.item_id) for row in found] == [(10, "late"), (11, "late")]
