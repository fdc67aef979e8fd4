from __future__ import annotations

import numpy as np
import pytest

from tfrec_vis.data import decode_letterboxed, pages, plan_batches, read_items, read_pages

BATCH = 48


def batches(prepared, **arguments):
    return list(pages(prepared, batch_size=BATCH, **arguments).as_numpy_iterator())


def same(one, two):
    return one.keys() == two.keys() and all(np.array_equal(one[n], two[n]) for n in one)


@pytest.fixture(scope="module")
def epoch(prepared_shop):
    return batches(prepared_shop)


def test_batches_hold_the_planned_pages(prepared_shop, epoch):
    table = read_pages(prepared_shop)
    plan = plan_batches(table.user_id, BATCH, 0, 0)
    assert len(epoch) == len(plan) > 3
    for batch, rows in zip(epoch, plan, strict=True):
        for name in ("user_id", "page_id", "timestamp", "clicked"):
            np.testing.assert_array_equal(batch[name], getattr(table, name)[rows])
        np.testing.assert_array_equal(batch["history_item_index"], table.history[rows])
        np.testing.assert_array_equal(batch["shown_item_index"], table.shown[rows])


def test_positions_point_at_the_right_picture(prepared_shop, epoch):
    images = read_items(prepared_shop).image
    decoded = [None, *(decode_letterboxed(i, 32).numpy() for i in images[1:])]
    empty = 0
    for batch in epoch:
        for positions, items in (("history", "history_item_index"), ("shown", "shown_item_index")):
            assert batch[positions].dtype == np.int32
            for position, item in zip(batch[positions].flat, batch[items].flat, strict=True):
                if item == 0:
                    assert position == -1
                    empty += 1
                else:
                    assert batch["item_index"][position] == item
        assert batch["image"].shape == (len(batch["item_index"]), 32, 32, 3)
        for item, image in zip(batch["item_index"], batch["image"], strict=True):
            np.testing.assert_array_equal(image, decoded[item])
    assert empty  # histories shorter than five


def test_each_distinct_picture_comes_once(epoch):
    for batch in epoch:
        items = np.append(batch["history_item_index"], batch["shown_item_index"])
        assert sorted(batch["item_index"]) == sorted(set(items) - {0})


def test_dtypes(epoch):
    kinds = {name: value.dtype for name, value in epoch[0].items()}
    assert kinds.pop("image") == np.uint8 and kinds.pop("timestamp") == np.int64
    assert kinds.pop("user_id") == kinds.pop("page_id") == np.dtype(object)
    assert set(kinds) == {
        "item_index",
        "history",
        "shown",
        "history_item_index",
        "shown_item_index",
        "clicked",
    }
    assert set(kinds.values()) == {np.dtype(np.int32)}


def test_an_epoch_is_taken_up_at_any_batch(prepared_shop, epoch):
    for first in (1, len(epoch) - 1):
        rest = batches(prepared_shop, first_batch=first)
        assert len(rest) == len(epoch) - first
        assert all(same(a, b) for a, b in zip(rest, epoch[first:], strict=True))


def test_epochs_follow_each_other(prepared_shop, epoch):
    dataset = pages(prepared_shop, batch_size=BATCH, flip=True)
    steps = len(epoch)
    assert int(dataset.cardinality()) == steps
    first = list(dataset.as_numpy_iterator())
    second = list(dataset.as_numpy_iterator())
    assert not any(np.array_equal(a["page_id"], b["page_id"]) for a in first for b in second)
    seen = np.concatenate([b["page_id"] for b in second])
    assert sorted(seen) == sorted(np.concatenate([b["page_id"] for b in first]))

    resumed = pages(prepared_shop, batch_size=BATCH, flip=True, first_batch=steps - 2)
    resumed = list(resumed.repeat().take(2 + steps).as_numpy_iterator())
    expected = [*first[-2:], *second]
    assert all(same(a, b) for a, b in zip(resumed, expected, strict=True))
    later = batches(prepared_shop, flip=True, first_epoch=1, first_batch=2)
    assert all(same(a, b) for a, b in zip(later, second[2:], strict=True))


def test_seeds(prepared_shop, epoch):
    assert all(same(a, b) for a, b in zip(batches(prepared_shop), epoch, strict=True))
    other = batches(prepared_shop, seed=1)
    assert not np.array_equal(other[0]["page_id"], epoch[0]["page_id"])


def test_order_of_the_log(prepared_shop):
    table = read_pages(prepared_shop)
    in_order = batches(prepared_shop, shuffle=False)
    np.testing.assert_array_equal(np.concatenate([b["page_id"] for b in in_order]), table.page_id)


def test_flip_mirrors_about_half(prepared_shop, epoch):
    mirrored = total = 0
    for plain, flipped in zip(epoch, batches(prepared_shop, flip=True), strict=True):
        np.testing.assert_array_equal(plain["item_index"], flipped["item_index"])
        for one, two in zip(plain["image"], flipped["image"], strict=True):
            is_mirrored = np.array_equal(one[:, ::-1], two)
            assert is_mirrored or np.array_equal(one, two)
            mirrored, total = mirrored + is_mirrored, total + 1
    assert 0.4 < mirrored / total < 0.6 and total > 200


def test_image_size(prepared_shop):
    batch = next(iter(pages(prepared_shop, batch_size=4, image_size=24)))
    assert batch["image"].shape[1:] == (24, 24, 3)


@pytest.mark.parametrize("shop", ["prepared_shop", "embedded_shop"])
def test_titles_of_distinct_items(request, shop):
    prepared = request.getfixturevalue(shop)
    titles = read_items(prepared).title
    batch = next(iter(pages(prepared, batch_size=16, titles=True)))
    assert len(batch["title"]) == len(batch["image"]) > 10
    found = [title.decode() for title in batch["title"].numpy()]
    assert found == [titles[item] for item in batch["item_index"].numpy()] and all(found)
    assert "title" not in next(iter(pages(prepared, batch_size=16)))
