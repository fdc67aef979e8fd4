"""COURIER is above every baseline on the simulated shop, and only what collapses alarms.

Runs ``make methods``; with TFREC_VIS_METHODS=FOLDER it reads the work folder of a run that is
done (or goes on with it); one made with other settings is refused.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BASELINES = {"random", "imagenet", "simclr", "simsiam", "supervised"}
"""And clip, which cannot win: titles of the simulated shop say nothing about its photos."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("methods")
    spec = importlib.util.spec_from_file_location("compare", ROOT / "pipelines/compare_methods.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    work = Path(os.environ.get("TFREC_VIS_METHODS", folder / "work"))
    if others := script.made_otherwise(work):
        pytest.fail(f"{work}: made with other settings ({', '.join(others)}); name another folder")
    script.main(["--work", str(work), "--page", str(folder / "methods.md")])
    return {row["name"]: row for row in script.order(work)}


def test_courier_is_above_every_baseline(rows):
    found = {name for name, row in rows.items() if row["role"] == "baseline"}
    assert found == {*BASELINES, "clip"}
    for name in BASELINES:
        ahead = rows[name]["behind_courier"]
        assert ahead["ci95"][0] > 0, f"{name}: {ahead['difference']:.4f} {ahead['ci95']}"
    assert rows["courier"]["against_none"]["ci95"][0] > 0.05


def test_the_truth_is_not_below_courier(rows):
    assert rows["truth"]["auc"] >= rows["courier"]["auc"]


def test_alarms(rows):
    assert rows["courier"]["alarm"] is False and rows["courier"]["cosine"] < 0.9
    assert rows["collapsed"]["alarm"] is True
