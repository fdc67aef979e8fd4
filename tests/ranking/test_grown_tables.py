"""``RankerTables.grow``: tables of training time over data to which a day was added."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from prepared_shop import IMAGE_SIZE

from tfrec_vis import sources
from tfrec_vis.data import read_impressions, read_items
from tfrec_vis.errors import InputError
from tfrec_vis.prepare import PrepareSettings, prepare
from tfrec_vis.ranking import RankerTables

HISTORY, MIN_COUNT, NEW_DAY = 6, 2, 1_800_000_000


@pytest.fixture(scope="module")
def trained(prepared_shop: Path) -> RankerTables:
    return RankerTables.build(prepared_shop, HISTORY, MIN_COUNT)


@pytest.fixture(scope="module")
def appended(
    prepared_shop: Path, simulated_shop: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The prepared shop with two new items, one of a new category, and their clicks."""
    folder = tmp_path_factory.mktemp("appended")
    category = read_items(prepared_shop, pictures=False).category[3]
    catalogue = ["item_id,image,title,category"]
    catalogue += [f"999998,000003.jpg,coat,{category}", "A,000004.jpg,hat,Zebra"]
    (folder / "items.csv").write_text("\n".join(catalogue) + "\n")
    log = ["user_id,page_id,item_id,timestamp,position,clicked"]
    log += [f"u00001,q1,999998,{NEW_DAY},0,1", f"u00001,q1,000005,{NEW_DAY},1,0"]
    log += [f"stranger,q2,A,{NEW_DAY + 9},brand-new,1"]
    (folder / "log.csv").write_text("\n".join(log) + "\n")
    config = yaml.safe_load((simulated_shop / "recipe.yaml").read_text())["source"]
    config["interactions"]["path"] = str(folder / "log.csv")
    config["catalogue"]["path"] = str(folder / "items.csv")
    config["catalogue"].pop("features", None)
    source = sources.create(config, str(simulated_shop))
    settings = PrepareSettings(image_size=IMAGE_SIZE, shards=2)
    prepare(source, folder / "prepared", settings, append_to=prepared_shop)
    return folder / "prepared"


def test_nothing_added_changes_nothing(trained: RankerTables, prepared_shop: Path) -> None:
    same(trained.grow(prepared_shop), trained)


def test_arrays_hold_all_of_it_without_objects(trained: RankerTables) -> None:
    arrays = trained.arrays()
    assert all(array.dtype.kind in "iuUf" for array in arrays.values())
    same(RankerTables.from_arrays(arrays), trained)


def same(one: RankerTables, other: RankerTables) -> None:
    for field in fields(RankerTables):
        mine, theirs = getattr(one, field.name), getattr(other, field.name)
        if field.name == "context":
            assert list(mine) == list(theirs)
            mine, theirs = list(mine.values()), list(theirs.values())
        if isinstance(mine, np.ndarray):
            mine, theirs = [mine], [theirs]
        if isinstance(mine, (list, tuple)) and not isinstance(mine[0], str):
            assert len(mine) == len(theirs)
            for a, b in zip(mine, theirs, strict=True):
                np.testing.assert_array_equal(a, b)
                assert a.dtype.kind == b.dtype.kind
        else:
            assert mine == theirs


def test_known_values_keep_their_numbers_and_new_ones_share_a_bucket(
    trained: RankerTables, appended: Path
) -> None:
    grown, rows = trained.grow(appended), len(trained.item_id)
    catalogue = read_items(appended, pictures=False)
    assert grown.item_id.tolist() == catalogue.item_id.tolist()
    assert grown.item_id[rows:].tolist() == ["999998", "A"]
    assert grown.attributes == trained.attributes == ("item_id", "category")
    np.testing.assert_array_equal(grown.values[:rows], trained.values)
    np.testing.assert_array_equal(grown.rarity[:rows], trained.rarity)
    for a, texts in enumerate((catalogue.item_id, catalogue.category)):
        numbers: dict[str, int] = {}
        for text, number in zip(texts, grown.values[:, a], strict=True):
            assert numbers.setdefault(text, number) == number
        assert len(set(numbers.values())) == len(numbers)
        assert len(grown.buckets[a]) == max(numbers.values()) + 1
        known = len(trained.buckets[a])
        np.testing.assert_array_equal(grown.buckets[a][:known], trained.buckets[a])
        assert not grown.buckets[a][known:].any()
    coat, zebra = rows, rows + 1
    assert grown.values[coat, 1] == trained.values[3, 1]
    assert grown.rarity[coat, 1] == trained.rarity[3, 1]
    train = read_impressions(appended, "train", HISTORY)
    unseen = -np.log(1 / (1 + len(set(train.item_index))))
    np.testing.assert_allclose(grown.rarity[zebra], unseen, rtol=1e-6)
    np.testing.assert_allclose(grown.rarity[coat, 0], unseen, rtol=1e-6)


def test_users_and_contexts_stay_and_events_are_of_all_rows(
    trained: RankerTables, appended: Path
) -> None:
    grown = trained.grow(appended)
    np.testing.assert_array_equal(grown.user_id, trained.user_id)
    np.testing.assert_array_equal(grown.context["position"], trained.context["position"])
    new = {(int(i), int(t)) for i, t in zip(grown.click_item, grown.click_time, strict=True)}
    new -= {(int(i), int(t)) for i, t in zip(trained.click_item, trained.click_time, strict=True)}
    rows = len(trained.item_id)
    assert new == {(rows, NEW_DAY), (rows + 1, NEW_DAY + 9)}
    assert len(grown.click_item) == len(trained.click_item) + 2
    assert len(grown.shown_item) == len(trained.shown_item) + 3
    test = read_impressions(appended, "test", HISTORY)
    inputs = grown.inputs(test.take(np.flatnonzero(test.user_id == "stranger")))
    assert inputs["user"].tolist() == [0] and inputs["context_position"].tolist() == [0]
    assert inputs["item"].tolist() == [rows + 1]


def test_growing_twice_goes_on_from_the_first(
    trained: RankerTables, prepared_shop: Path, appended: Path
) -> None:
    same(trained.grow(appended).grow(appended), trained.grow(appended))


def test_other_items_are_refused(trained: RankerTables, appended: Path) -> None:
    fewer = replace(trained, item_id=np.append(trained.item_id, ["removed"]))
    swapped = replace(trained, item_id=trained.item_id[np.r_[0, 2, 1, 3 : len(trained.item_id)]])
    for other in (fewer, swapped):
        with pytest.raises(InputError, match="items were removed or numbered anew since"):
            other.grow(appended)
