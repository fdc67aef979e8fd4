"""Several replicas: one device with the joint batch is the oracle. Each in a process of its own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).with_name("replica_steps.py")
ROOT = Path(__file__).resolve().parents[2]
TRAIN = SCRIPT.with_name("train_devices.py")
FILES = ["model.keras", "settings.json", "training.json"]
SECONDS = 300


def start(prepared, out, *arguments, script=SCRIPT, **environment):
    paths = [str(ROOT), str(ROOT / "tests"), str(SCRIPT.parent)]
    return subprocess.Popen(
        [sys.executable, str(script), str(prepared), str(out), *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(processes):
    """Waits for all; none outlives the test."""
    try:
        for process in processes:
            output, _ = process.communicate(timeout=SECONDS)
            assert process.returncode == 0, output
    finally:
        for process in processes:
            process.kill()
            process.wait()


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def cluster_of_two():
    """TF_CONFIG of each of two processes."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    tasks = [{"type": "worker", "index": index} for index in range(2)]
    return [json.dumps({"cluster": {"worker": addresses}, "task": task}) for task in tasks]


def assert_equal(folder, case, *others):
    """Changes of the weights, losses and alarms, within 1e-5."""
    one = dict(np.load(folder / f"{case}-one.npz"))
    changes = [name for name in one if name.startswith("change")]
    whole = np.concatenate([one[name].ravel() for name in changes]).astype(float)
    assert np.linalg.norm(whole) > 1e-3 and {"trained loss", "tested loss"} <= one.keys()
    assert one["trained loss"] != one["tested loss"]
    for other in others:
        found = dict(np.load(folder / f"{case}-{other}.npz"))
        assert found.keys() == one.keys()
        for name in one.keys() - set(changes):
            assert found[name] == pytest.approx(one[name], rel=1e-5, abs=1e-6), name
        for name in changes:
            # A change is a difference of weights below 1, which are rounded to 6e-8 in each step.
            rounding = 6e-8 * np.sqrt(one[name].size)
            bound = 1e-5 * np.linalg.norm(one[name]) + rounding
            assert np.linalg.norm(found[name] - one[name]) < bound, name
        joint = np.concatenate([found[name].ravel() for name in changes])
        assert np.linalg.norm(joint - whole) < 1e-5 * np.linalg.norm(whole)


def test_two_replicas_are_one_with_the_joint_batch(prepared_shop, tmp_path):
    """With gradient caching, pictures as bytes, chunks and a learned temperature."""
    finish([start(prepared_shop, tmp_path, "cached", "one", "mirrored2")])
    assert_equal(tmp_path, "cached", "mirrored2")


@pytest.mark.slow
@pytest.mark.parametrize("case", ["courier", "cached"])
def test_four_replicas_one_of_them_without_a_page(prepared_shop, tmp_path, case):
    finish([start(prepared_shop, tmp_path, case, "one")])
    finish([start(prepared_shop, tmp_path, case, "mirrored4")])
    assert_equal(tmp_path, case, "mirrored4")


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", ["supervised", "clip", "simsiam", "simclr", "bank", "projection", "log_q"]
)
def test_replicas_of_the_other_methods(prepared_shop, tmp_path, case):
    finish([start(prepared_shop, tmp_path, case, "one", "mirrored2")])
    assert_equal(tmp_path, case, "mirrored2")


@pytest.mark.slow
@pytest.mark.parametrize("case", ["courier", "cached"])
def test_two_processes_are_one_with_the_joint_batch(prepared_shop, tmp_path, case):
    finish([start(prepared_shop, tmp_path, case, "one")])
    configs = cluster_of_two()
    finish([start(prepared_shop, tmp_path, case, "workers", TF_CONFIG=one) for one in configs])
    assert_equal(tmp_path, case, "workers0", "workers1")


@pytest.mark.slow
def test_each_replica_draws_its_dropout_twice(prepared_shop, tmp_path):
    """In one part: the masks of the second pass are those of the first, and of no caching."""
    found = []
    for case in ("dropout", "dropout_cached"):
        finish([start(prepared_shop, tmp_path, case, "mirrored2")])
        steps = np.load(tmp_path / f"{case}-mirrored2.npz")
        found.append([steps[name] for name in steps if name.startswith("change")])
    for one, two in zip(*found, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-6)


def trained(folder, name):
    return list(np.load(folder / f"{name}.npz").values())


def assert_close(found, expected):
    for one, two in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, two, atol=2e-4)


@pytest.mark.slow
def test_a_training_on_two_devices_is_that_on_one_and_is_taken_up(prepared_shop, tmp_path):
    for name, *arguments in (["one", "one"], ["whole", "mirrored"], ["broken", "mirrored", "7"]):
        finish([start(prepared_shop, tmp_path, name, *arguments, script=TRAIN)])
    assert_close(trained(tmp_path, "whole"), trained(tmp_path, "one"))
    for one, two in zip(trained(tmp_path, "broken"), trained(tmp_path, "whole"), strict=True):
        np.testing.assert_array_equal(one, two)
    assert sorted(path.name for path in (tmp_path / "broken/out").iterdir()) == FILES


@pytest.mark.slow
def test_a_training_of_two_processes_is_taken_up_at_the_epoch(prepared_shop, tmp_path):
    finish([start(prepared_shop, tmp_path, "one", "one", script=TRAIN)])
    finish(
        [
            start(prepared_shop, tmp_path, "both", "workers", "7", script=TRAIN, TF_CONFIG=config)
            for config in cluster_of_two()
        ]
    )
    for worker in ("both0", "both1"):
        assert_close(trained(tmp_path, worker), trained(tmp_path, "one"))
    assert sorted(path.name for path in (tmp_path / "both/out").iterdir()) == FILES
