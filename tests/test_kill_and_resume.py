"""`run`, killed again and again, ends in the report of a run that nobody disturbed."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest
from chain_recipe import call, command, read_report, write_recipe

KILLS = 4


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0])
def test_a_killed_run_ends_in_the_same_report(
    simulated_shop: Path, tmp_path: Path, seed: int
) -> None:
    shop = shutil.copytree(simulated_shop, tmp_path / "shop")
    recipe = write_recipe(shop, epochs=2, batch_size=16, checkpoint_seconds=0)
    started = time.monotonic()
    call("run", recipe, "--work", tmp_path / "whole")
    whole = time.monotonic() - started

    moments = random.Random(seed)
    work, kills = tmp_path / "killed", 0
    while True:
        # Long enough that every start gets somewhere.
        patience = moments.uniform(0.15, 0.6) * whole if kills < KILLS else None
        with (tmp_path / "log.txt").open("ab") as log:
            process = subprocess.Popen(
                command("run", recipe, "--work", work),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            try:
                code = process.wait(patience)
                assert code == 0, (tmp_path / "log.txt").read_text()[-4000:]
                break
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                kills += 1
                if (work / "report.json").exists():  # killed at the very end
                    assert read_report(work) == read_report(tmp_path / "whole")
    assert kills >= 2
    assert read_report(work) == read_report(tmp_path / "whole")
    predictions = [
        pd.read_parquet(folder / "evaluation/predictions.parquet")
        for folder in (work, tmp_path / "whole")
    ]
    pd.testing.assert_frame_equal(*predictions, check_exact=True)
    assert not list(work.rglob("*.partial")) and not list(work.rglob("*.old"))
