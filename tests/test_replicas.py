from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import replica_cases
import tensorflow as tf

from tfrec_vis.layers import gather_replicas
from tfrec_vis.losses import PageViewContrast

CASES = ["page_view", "click_sequence", "everything", "click_head"]
each_number = pytest.mark.parametrize("replicas", [2, pytest.param(4, marks=pytest.mark.slow)])


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What a number of replicas gives: {"case/name": array}."""
    root = Path(__file__).resolve().parents[1]
    environment = {**os.environ, "PYTHONPATH": str(root), "CUDA_VISIBLE_DEVICES": "-1"}

    @functools.cache
    def find(replicas):
        if replicas == 1:
            return replica_cases.run(1, replica_cases.rows_of_batch())
        out = tmp_path_factory.mktemp("replicas") / "found.npz"
        command = [sys.executable, replica_cases.__file__, str(replicas), str(out)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        with np.load(out) as arrays:
            return dict(arrays)

    return find


def of(found, replicas, case):
    prefix = f"{case}/"
    every = found(replicas).items()
    return {k.removeprefix(prefix): v for k, v in every if k.startswith(prefix)}


@each_number
@pytest.mark.parametrize("case", CASES)
def test_shares_and_gradients_add_up_to_one_device(found, case, replicas):
    one, several = of(found, 1, case), of(found, replicas, case)
    assert one.keys() == several.keys() and len(one) == 10
    for name in one:
        np.testing.assert_allclose(several[name], one[name], rtol=1e-5, atol=1e-5, err_msg=name)
    assert one["loss"] > 0.1
    assert max(np.abs(v).max() for k, v in one.items() if k != "loss") > 1e-3


@each_number
def test_within_a_replica_each_has_its_own_loss(found, replicas):
    rows = replica_cases.rows_of_batch()
    ends = replica_cases.ENDS[replicas]
    expected = 0.0
    for start, end in zip([0, *ends], ends, strict=False):
        part = {name: tf.constant(x[start:end]) for name, x in rows.items()}
        names = ("embedding", "rebuilt", "clicked", "valid", "items")
        expected += float(PageViewContrast(0.2)(*(part[name] for name in names)))
    np.testing.assert_allclose(of(found, replicas, "within")["loss"], expected, rtol=1e-5)
    assert abs(expected - of(found, 1, "within")["loss"]) > 0.05


@each_number
def test_every_replica_holds_the_same_bank(found, replicas):
    rows = replica_cases.rows_of_batch()
    newest = np.flatnonzero(rows["valid"])[::-1][:4]
    bank = of(found, replicas, "bank")  # the script compares the replicas
    np.testing.assert_allclose(bank["embedding"], rows["embedding"][newest] + 2, rtol=1e-6)
    np.testing.assert_array_equal(bank["items"], rows["items"][newest] + 100)
    assert bank["valid"].all()


@each_number
def test_rows_come_in_the_order_of_replicas(found, replicas):
    rows = replica_cases.rows_of_batch()
    gathered = of(found, replicas, "gather")
    np.testing.assert_array_equal(gathered["items"], rows["items"])
    np.testing.assert_array_equal(gathered["flags"], rows["valid"])
    np.testing.assert_allclose(gathered["bfloat16"], rows["embedding"], rtol=0.01)
    np.testing.assert_array_equal(gathered["offset"], [0, *replica_cases.ENDS[replicas][:-1]])


@each_number
def test_batch_statistics_are_those_of_all_valid_rows(found, replicas):
    one, several = of(found, 1, "moving"), of(found, replicas, "moving")
    for name in one:
        np.testing.assert_allclose(several[name], one[name], rtol=1e-5, atol=1e-6)


def test_outside_a_strategy_rows_stay_as_they_are():
    x, flags = tf.ones([3, 2]), tf.constant([True, False, True])
    one, two, offset = gather_replicas(x, flags)
    assert one is x and two is flags and int(offset) == 0
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():  # not in a replica at all
        assert gather_replicas(x)[0] is x
