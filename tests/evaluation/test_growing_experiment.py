"""A longer list of embeddings, features or seeds trains what is new, in the stage as it is run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from fake_trainer import Fits, embedding, fake_trainers

from tfrec_vis.data import read_items
from tfrec_vis.evaluation import EvaluateSettings, run_experiment
from tfrec_vis.workflow import Stage

SETTINGS = EvaluateSettings(
    features=("none", "sim_score"),
    history=6,
    min_count=2,
    seeds=2,
    train_on="all",
    replicates=20,
)
VALUES = {"courier": 0.5, "imagenet": 0.25, "simclr": 0.125}


@pytest.fixture(scope="module", autouse=True)
def without_trees() -> Iterator[None]:
    """The control on popularity has a test of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tfrec_vis.evaluation.experiment.popularity_only", lambda *_: {})
        yield


@pytest.fixture
def fits() -> Iterator[Fits]:
    with fake_trainers() as fits:
        yield fits


def stage(
    work: Path, prepared: Path, names: list[str], reports: list[Any], **changes: Any
) -> Stage:
    settings = replace(SETTINGS, **changes)
    items = len(read_items(prepared, pictures=False))
    compared = [
        embedding(name, VALUES[name], items, "courier" if name == "courier" else "baseline")
        for name in names
    ]

    def make(out: Path) -> None:
        reports.append(run_experiment(prepared, compared, settings, out, "tiny"))

    inputs = [asdict(settings), names]
    return Stage("evaluate", work / "evaluation", inputs, [], make, resumable=True, keeps="runs")


def test_trains_what_is_new(fits: Fits, tmp_path: Path, prepared_shop: Path) -> None:
    reports: list[Any] = []

    def trained(names: list[str], force: bool = False, **changes: Any) -> list[tuple[float, int]]:
        fits.clear()
        one = stage(tmp_path, prepared_shop, names, reports, **changes)
        assert one.run(force)
        return sorted({(f["value"], f["seed"]) for f in fits if f["feature"] != "none"})

    few = ["courier", "imagenet"]
    begun = trained(few)
    assert {value for value, _ in begun} == {0.5, 0.25}
    assert trained([*few, "simclr"]) == [(0.125, 0), (0.125, 1)]
    assert not any(f["feature"] == "none" for f in fits)
    assert trained(few, slices=["position"]) == []
    assert reports[2]["comparisons"] == reports[0]["comparisons"]
    assert [r["auc"] for r in reports[2]["rows"]] == [r["auc"] for r in reports[0]["rows"]]
    assert trained(few, seeds=3) == [(0.25, 2), (0.5, 2)]
    assert trained(few, batch_size=9) == begun
    assert trained(few) == []
    assert trained(few, force=True) == begun
