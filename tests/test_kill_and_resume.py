"""`run`, killed again and again, ends in the report of a run that nobody disturbed."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest
from chain_recipe import call, command, read_report, write_recipe

STAGES = ("prepare", "pretrain", "embed", "evaluate")
LATEST = 6.0
"""Seconds into a stage at which it is killed, at most; it may be the next one's by then."""


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0])
def test_a_killed_run_ends_in_the_same_report(
    simulated_shop: Path, tmp_path: Path, seed: int
) -> None:
    shop = shutil.copytree(simulated_shop, tmp_path / "shop")
    recipe = write_recipe(shop, epochs=2, batch_size=16, checkpoint_seconds=0)
    call("run", recipe, "--work", tmp_path / "whole")

    moments, work = random.Random(seed), tmp_path / "killed"
    for stage in STAGES:
        log = tmp_path / f"{stage}.txt"
        with log.open("wb") as file:
            process = subprocess.Popen(
                command("run", recipe, "--work", work),
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        while not re.search(rf"^{stage} \(.*…", log.read_text(), re.M):
            assert process.poll() is None, log.read_text()[-4000:]
            time.sleep(0.05)
        time.sleep(moments.uniform(0, LATEST))
        assert process.poll() is None, f"ended before it was killed: {log.read_text()[-4000:]}"
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    call("run", recipe, "--work", work)
    assert read_report(work) == read_report(tmp_path / "whole")
    predictions = [
        pd.read_parquet(folder / "evaluation/predictions.parquet")
        for folder in (work, tmp_path / "whole")
    ]
    pd.testing.assert_frame_equal(*predictions, check_exact=True)
    assert not list(work.rglob("*.partial")) and not list(work.rglob("*.old"))
