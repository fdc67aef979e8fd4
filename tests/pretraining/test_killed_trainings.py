"""A training that is killed again and again ends with the weights of an undisturbed one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tfrec_vis

SCRIPT = Path(__file__).with_name("killed_trainings.py")


@pytest.mark.parametrize(("seed", "kills"), [(0, 2), pytest.param(1, 20, marks=pytest.mark.slow)])
def test_weights_equal_bit_for_bit(prepared_shop: Path, tmp_path: Path, seed, kills) -> None:
    root = str(Path(tfrec_vis.__file__).parents[1])
    result = subprocess.run(
        [sys.executable, str(SCRIPT), str(prepared_shop), str(tmp_path), str(seed), str(kills)],
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr[-4000:]
    assert result.stdout.count("kill ") == kills
    one, two = (np.load(tmp_path / f"{name}.npz") for name in ("unbroken", "killed"))
    assert len(one.files) == 9
    for name in one.files:
        np.testing.assert_array_equal(one[name], two[name])
    one, two = (
        json.loads((tmp_path / name / "out/training.json").read_text())
        for name in ("unbroken", "killed")
    )
    assert one["holdout"] and one["best"] and one == two
    files = sorted(path.name for path in (tmp_path / "killed/out").iterdir())
    assert files == ["model.keras", "settings.json", "training.json"]
