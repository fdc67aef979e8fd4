from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tfrec_vis.errors import InputError
from tfrec_vis.evaluation.rows import Rows
from tfrec_vis.evaluation.slices import slices


@pytest.fixture(scope="module")
def rows(prepared_shop: Path) -> Rows:
    return Rows.read(prepared_shop, 6, 2)


def bin_of(count: int) -> str:
    for low, label in ((100, "100+"), (20, "20-99"), (5, "5-19"), (1, "1-4")):
        if count >= low:
            return label
    return "0"


def test_counts_are_of_clicks_before_the_second_cut(rows: Rows) -> None:
    train, test, found = rows.split["train"], rows.split["test"], slices(rows)
    clicks = list(zip(train.item_index, train.user_id, train.clicked, strict=True))
    items = Counter(item for item, _, clicked in clicks if clicked)
    users = Counter(user for _, user, clicked in clicks if clicked)
    for row in range(len(test)):
        assert found[f"popularity={bin_of(items[test.item_index[row]])}"][row]
        assert found[f"activity={bin_of(users[test.user_id[row]])}"][row]
    for name in ("popularity", "activity"):  # every row is in one bin
        inside = [mask for key, mask in found.items() if key.startswith(f"{name}=")]
        assert (np.sum(inside, axis=0) == 1).all()
    new = found.get("popularity=0", np.zeros(len(test), bool))
    assert (new == found["item_new"]).all() and (found["item_known"] == ~new).all()


def test_what_is_tested_does_not_move_a_row(rows: Rows) -> None:
    """Neither labels nor items of later rows are counted."""
    test = rows.split["test"]
    for name in ("validation", "test"):
        other = rows.split[name]
        turned = replace(other, clicked=1 - other.clicked)
        changed = replace(rows, split={**rows.split, name: turned})
        for key, mask in slices(rows).items():
            assert (slices(changed)[key] == mask).all(), key
    assert len(test) == len(slices(rows)["item_new"])


def test_values_of_columns(rows: Rows) -> None:
    test = rows.split["test"]
    colours = np.array(["", *("red" if i % 3 else "blue" for i in range(1, len(rows.item_ids)))])
    devices = np.array([("phone", "tablet", "")[i % 3] for i in range(len(test))])
    shop = replace(
        rows,
        features={"colour": colours.astype(object)},
        split={**rows.split, "test": replace(test, context={"device": devices.astype(object)})},
    )
    found = slices(shop, ("colour", "device"))
    assert (found["colour=red"] == (colours[test.item_index] == "red")).all()
    assert (found["device=tablet"] == (devices == "tablet")).all()
    assert "device=" not in found and "colour=red" not in slices(shop)


def test_the_largest_values_alone(rows: Rows) -> None:
    names = np.array([f"c{i % 25:02d}" for i in range(len(rows.item_ids))], object)
    found = slices(replace(rows, categories=names))
    counts = Counter(names[rows.split["test"].item_index])
    sizes = [int(mask.sum()) for n, mask in found.items() if n.startswith("category=")]
    assert sizes == sorted(counts.values(), reverse=True)[:10]


def test_unknown_columns_are_named(rows: Rows) -> None:
    shop = replace(rows, features={"colour": rows.categories})
    with pytest.raises(InputError, match="evaluate.slices: .*'color'; did you mean colour?"):
        slices(shop, ("color",))
    with pytest.raises(InputError, match="no declared feature 'x'; known: .*colour"):
        slices(shop, ("x",))
    named = replace(rows, features={"popularity": rows.categories, "item=x": rows.categories})
    for name in ("item", "item_new", "popularity", "activity", "category", "item=x"):
        with pytest.raises(InputError, match=f"evaluate.slices: '{name}' is taken: item, "):
            slices(named, (name,))
    with pytest.raises(InputError, match="images_off: no item is of category 'x'; known: "):
        rows.of_categories(["x"])
    one = str(rows.category_numbers[0][-1])
    assert (rows.of_categories([one]) == (rows.categories == one)).all()
    assert not rows.of_categories([]).any()
