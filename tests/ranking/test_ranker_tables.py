from __future__ import annotations

import csv
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from prepared_shop import IMAGE_SIZE

from tfrec_vis import sources
from tfrec_vis.data import read_impressions, read_items
from tfrec_vis.prepare import PrepareSettings, prepare
from tfrec_vis.ranking import RankerTables

MIN_COUNT, HISTORY = 3, 6


@pytest.fixture(scope="module")
def tables(prepared_shop: Path) -> RankerTables:
    return RankerTables.build(prepared_shop, HISTORY, MIN_COUNT)


def test_values_number_the_catalogue_exactly(tables: RankerTables, prepared_shop: Path) -> None:
    catalogue = read_items(prepared_shop)
    assert tables.attributes == ("item_id", "category")
    for column, texts in enumerate((catalogue.item_id, catalogue.category)):
        numbers = tables.values[:, column]
        for a in range(len(texts)):
            for b in range(len(texts)):
                assert (numbers[a] == numbers[b]) == (texts[a] == texts[b])
        np.testing.assert_array_equal(numbers == 0, texts == "")


def test_buckets_hold_what_training_clicks_had_often(
    tables: RankerTables, prepared_shop: Path
) -> None:
    train = read_impressions(prepared_shop, "train", HISTORY)
    clicks = Counter(train.item_index[train.clicked == 1])
    own = [tables.buckets[0][tables.values[i, 0]] for i in range(1, len(tables.item_id))]
    often = [clicks[i] >= MIN_COUNT for i in range(1, len(tables.item_id))]
    assert 0 < sum(often) < len(often)
    assert [bucket > 0 for bucket in own] == often
    kept = [bucket for bucket in own if bucket]
    assert sorted(kept) == list(range(1, len(kept) + 1))  # each its own, without gaps


def test_users_and_contexts_are_those_of_the_training_rows(
    tables: RankerTables, prepared_shop: Path
) -> None:
    train = read_impressions(prepared_shop, "train", HISTORY)
    users = Counter(train.user_id)
    assert sorted(tables.user_id) == sorted(u for u, n in users.items() if n >= MIN_COUNT)
    places = Counter(train.context["position"])
    assert sorted(tables.context["position"]) == sorted(places)


def test_users_of_sampled_rows_are_counted_in_clicks(simulated_shop: Path, tmp_path: Path) -> None:
    config = yaml.safe_load((simulated_shop / "recipe.yaml").read_text())["source"]
    with (simulated_shop / "log.csv").open() as file:
        clicks = [row for row in csv.DictReader(file) if row["clicked"] == "1"]
    with (tmp_path / "log.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(clicks[0]))
        writer.writeheader()
        writer.writerows(clicks)
    columns = {n: n for n in ("user_id", "item_id", "timestamp")}
    config["interactions"] = {"path": str(tmp_path / "log.csv"), "columns": columns}
    source = sources.create(config, str(simulated_shop))
    settings = PrepareSettings(image_size=IMAGE_SIZE, shards=1, negatives_window_days=1)
    manifest = prepare(source, tmp_path / "prepared", settings)
    counts = Counter(r["user_id"] for r in clicks if int(r["timestamp"]) < manifest["cuts"][1])
    least = int(np.median([*counts.values()])) + 1
    tables = RankerTables.build(tmp_path / "prepared", HISTORY, least)
    assert sorted(tables.user_id) == sorted(u for u, n in counts.items() if n >= least)
    assert 0 < len(tables.user_id) < len(counts)


def test_events_are_of_all_rows(tables: RankerTables, prepared_shop: Path) -> None:
    shown, clicked = Counter(), Counter()
    for split in ("train", "validation", "test"):
        rows = read_impressions(prepared_shop, split, HISTORY)
        for item, time, click in zip(rows.item_index, rows.timestamp, rows.clicked, strict=True):
            shown[item, time] += 1
            clicked[item, time] += click
    assert Counter(zip(tables.shown_item, tables.shown_time, strict=True)) == shown
    assert Counter(zip(tables.click_item, tables.click_time, strict=True)) == +clicked


def test_inputs_give_unknown_users_and_contexts_zero(
    tables: RankerTables, prepared_shop: Path
) -> None:
    rows = read_impressions(prepared_shop, "test", HISTORY).take(np.arange(4))
    known = tables.user_id[1]
    rows = replace(
        rows,
        user_id=np.array([known, "stranger", "", known], object),
        context={"position": np.array(["2", "unheard-of", "", "2"], object)},
    )
    inputs = tables.inputs(rows)
    assert inputs["user"].tolist() == [2, 0, 0, 2]
    place = list(tables.context["position"]).index("2") + 1
    assert inputs["context_position"].tolist() == [place, 0, 0, place]
    np.testing.assert_array_equal(inputs["item"], rows.item_index)
    np.testing.assert_array_equal(inputs["history"], rows.history)


def test_inputs_cut_longer_histories_to_the_newest(
    tables: RankerTables, prepared_shop: Path
) -> None:
    rows = read_impressions(prepared_shop, "test", 20)
    np.testing.assert_array_equal(tables.inputs(rows)["history"], rows.history[:, :HISTORY])


def test_rarity_is_of_the_items_of_training_rows(tables: RankerTables, prepared_shop: Path) -> None:
    train = read_impressions(prepared_shop, "train", HISTORY)
    categories = read_items(prepared_shop).category
    seen = Counter(categories[item] for item in set(train.item_index))
    total = sum(seen.values())
    expected = [-np.log((1 + seen[c]) / (1 + total)) for c in categories[1:]]
    np.testing.assert_allclose(tables.rarity[1:, 1], expected, rtol=1e-6)
