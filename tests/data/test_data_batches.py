"""Epochs, positions and workers of the datasets."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfrec_vis.data import impressions, items, pages, plan_batches, read_pages
from tfrec_vis.data.batch_plan import plan_rows
from tfrec_vis.data.batches import numbered_batches

ROWS, SIZE = 23, 5
BATCHES = 5


def plan(epoch):
    order = np.random.default_rng([3, epoch]).permutation(ROWS)
    return [order[first : first + SIZE] for first in range(0, ROWS, SIZE)]


def collected(dataset):
    return [(rows.tolist(), int(number)) for rows, number in dataset.as_numpy_iterator()]


def expected(first, last):
    """Batches ``first`` to ``last``, counted over epochs."""
    return [(plan(k // BATCHES)[k % BATCHES].tolist(), k) for k in range(first, last)]


def test_each_iteration_is_the_next_epoch():
    dataset = numbered_batches(plan, BATCHES, first_epoch=2)
    assert int(dataset.cardinality()) == BATCHES
    assert collected(dataset) == expected(10, 15)
    assert collected(dataset) == expected(15, 20)
    resumed = numbered_batches(plan, BATCHES, first_epoch=1, first_batch=3)
    assert collected(resumed) == expected(8, 10)
    assert collected(resumed) == expected(10, 15)


def test_epochs_in_one_iteration():
    dataset = numbered_batches(plan, BATCHES, first_epoch=1, first_batch=2, epochs=3)
    assert int(dataset.cardinality()) == 13
    assert collected(dataset) == expected(7, 20)
    assert collected(dataset) == expected(7, 20)


def test_no_batches():
    for epochs in (None, 3):
        assert collected(numbered_batches(lambda epoch: [], 0, epochs=epochs)) == []


@pytest.mark.parametrize(("workers", "replicas"), [(2, 2), (3, 6), (1, 4), (3, 1), (8, 8)])
@pytest.mark.parametrize("epochs", [None, 1])
def test_replicas_share_every_batch(workers, replicas, epochs):
    replicas_each = max(replicas // workers, 1)
    of_worker = []
    for worker in range(workers):
        context = tf.distribute.InputContext(workers, worker, replicas)
        dataset = numbered_batches(plan, BATCHES, epochs=epochs, input_context=context)
        found = collected(dataset)
        assert len(found) == BATCHES * replicas_each == int(dataset.cardinality())
        of_worker.append(found)
    for batch, (rows, _) in enumerate(expected(0, BATCHES)):
        steps = slice(batch * replicas_each, (batch + 1) * replicas_each)
        parts = [part for found in of_worker for part, _ in found[steps]]
        assert sorted(sum(parts, [])) == sorted(rows)
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
    numbers = [number for found in of_worker for _, number in found]
    assert len(set(numbers)) == len(numbers)


def test_workers_with_different_numbers_of_replicas():
    with pytest.raises(ValueError, match="3 replicas on 2 workers"):
        numbered_batches(plan, BATCHES, input_context=tf.distribute.InputContext(2, 0, 3))


def test_plan_of_rows():
    rows = np.array([4, 8, 15, 16, 23, 42, 7])
    in_order = plan_rows(rows, 3, seed=None)
    assert [batch.tolist() for batch in in_order(0)] == [[4, 8, 15], [16, 23, 42], [7]]
    assert np.concatenate(in_order(5)).tolist() == rows.tolist()
    shuffled = plan_rows(rows, 3, seed=0)
    orders = [np.concatenate(shuffled(epoch)).tolist() for epoch in (0, 1, 0)]
    assert orders[0] == orders[2] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1]) == sorted(rows)
    assert plan_rows(rows[:0], 3, seed=0)(0) == []


def page_batches(prepared, **how):
    return pages(prepared, batch_size=48, epochs=2, flip=True, **how)


DATASETS = {
    "pages": page_batches,
    "items": lambda p, **how: items(p, 16, 8, shuffle=True, epochs=2, **how),
    "impressions": lambda p, **how: impressions(p, "test", 32, epochs=2, **how),
}


def assert_same(one, two):
    tf.nest.map_structure(np.testing.assert_array_equal, one, two)


@pytest.mark.parametrize("name", DATASETS)
def test_iterator_goes_on_from_a_checkpoint(prepared_shop, tmp_path, name):
    everything = list(DATASETS[name](prepared_shop).as_numpy_iterator())
    done = len(everything) // 2 + 1
    iterator = iter(DATASETS[name](prepared_shop))
    for _ in range(done):
        next(iterator)
    path = tf.train.Checkpoint(iterator=iterator).save(str(tmp_path / "state"))
    size = sum(file.stat().st_size for file in tmp_path.iterdir())
    assert size < 20_000  # the position, not the pictures that are ready

    resumed = iter(DATASETS[name](prepared_shop))
    tf.train.Checkpoint(iterator=resumed).restore(path).assert_consumed()
    rest = [tf.nest.map_structure(lambda t: t.numpy(), batch) for batch in resumed]
    assert len(rest) == len(everything) - done > 1
    for one, two in zip(rest, everything[done:], strict=True):
        assert_same(one, two)


@pytest.mark.parametrize("name", DATASETS)
def test_taken_up_at_a_batch(prepared_shop, name):
    everything = list(DATASETS[name](prepared_shop).as_numpy_iterator())
    epoch = len(everything) // 2
    resumed = DATASETS[name](prepared_shop, first_epoch=1, first_batch=1)
    for one, two in zip(resumed.take(2).as_numpy_iterator(), everything[epoch + 1 :], strict=False):
        assert_same(one, two)


def test_workers_share_pages(prepared_shop):
    contexts = [tf.distribute.InputContext(2, worker, 2) for worker in range(2)]
    halves = [
        list(pages(prepared_shop, batch_size=48, input_context=c).as_numpy_iterator())
        for c in contexts
    ]
    table = read_pages(prepared_shop)
    for rows, *parts in zip(plan_batches(table.user_id, 48, 0, 0), *halves, strict=True):
        whole = sorted(zip(table.user_id[rows], table.page_id[rows], strict=True))
        found = [zip(part["user_id"], part["page_id"], strict=True) for part in parts]
        assert sorted(pair for pairs in found for pair in pairs) == whole
        for part in parts:
            shown = np.append(part["history_item_index"], part["shown_item_index"])
            assert sorted(part["item_index"]) == sorted(set(shown) - {0})


def test_a_strategy_reads_its_part_of_every_batch(prepared_shop):
    strategy = tf.distribute.MirroredStrategy(["/cpu:0"])
    dataset = strategy.distribute_datasets_from_function(
        lambda context: pages(prepared_shop, batch_size=48, input_context=context)
    )
    plain = pages(prepared_shop, batch_size=48)
    for one, two in zip(dataset, plain, strict=True):
        np.testing.assert_array_equal(one["page_id"], two["page_id"])
