from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_trainer import Fits, embedding, fake_trainers

from tfrec_vis.evaluation import EvaluateSettings
from tfrec_vis.evaluation.cells import CellRunner
from tfrec_vis.evaluation.comparisons import compared_pairs
from tfrec_vis.evaluation.plan import Trained, train_cells
from tfrec_vis.evaluation.rows import Rows

FEATURES = ("vector", "sim_score", "cluster_id")
SETTINGS = EvaluateSettings(
    features=("none", *FEATURES), history=6, min_count=2, seeds=1, train_on="all"
)
VALUES = {"courier": 0.5, "imagenet": 0.25, "no_contrast": 0.125}
ROLES = {"courier": "courier", "imagenet": "baseline", "no_contrast": "ablation"}


@pytest.fixture(scope="module")
def rows(prepared_shop: Path) -> Rows:
    return Rows.read(prepared_shop, 6, 2)


@pytest.fixture
def fits() -> Iterator[Fits]:
    with fake_trainers() as fits:
        # COURIER is best as sim_score, the others as cluster_id.
        fits.quality = {(0.5, "sim_score"): 3.0} | {
            (VALUES[name], "cluster_id"): 3.0 for name in ("imagenet", "no_contrast")
        }
        yield fits


def trained(rows: Rows, folder: Path, **changes: Any) -> Trained:
    settings = replace(SETTINGS, **changes)
    items = len(rows.item_ids)
    embeddings = {name: [embedding(name, v, items, ROLES[name])] for name, v in VALUES.items()}
    embeddings["courier"].append(embedding("courier", 0.375, items, "courier", 1))
    return train_cells(CellRunner(rows, settings, folder, "data"), embeddings, settings)


def names(made: Trained, ranker: str, protocol: str) -> list[str]:
    return [c.name for c in made.cells if (c.ranker, c.protocol) == (ranker, protocol)]


def test_the_main_ranker_and_protocol_see_everything(
    rows: Rows, fits: Fits, tmp_path: Path
) -> None:
    made = trained(rows, tmp_path, protocols=["scratch"])
    everything = ["none/none", *(f"{e}/{f}" for e in VALUES for f in FEATURES)]
    assert [c.name for c in made.cells] == everything
    assert made.best == {
        "courier": "sim_score",
        "imagenet": "cluster_id",
        "no_contrast": "cluster_id",
    }
    primary = (made.primary.name, made.primary.ranker, made.primary.protocol)
    assert primary == ("courier/sim_score", "din", "scratch")
    assert {p: c.name for p, c in made.controls.items()} == {"scratch": "shuffled/sim_score"}
    assert made.primary.pretrain_seeds == made.controls["scratch"].pretrain_seeds == (0, 1)


def test_others_see_what_comparisons_read(rows: Rows, fits: Fits, tmp_path: Path) -> None:
    made = trained(rows, tmp_path, rankers=["dcn"])
    best = ["imagenet/sim_score", "imagenet/cluster_id"]
    best += ["no_contrast/sim_score", "no_contrast/cluster_id"]
    courier = [f"courier/{f}" for f in FEATURES]
    assert names(made, "din", "warm_start") == ["none/none", *courier, *best]
    for protocol in ("scratch", "warm_start"):
        assert names(made, "dcn", protocol) == ["none/none", "courier/sim_score", *best]
    assert list(made.controls) == ["scratch", "warm_start"]
    assert made.primary.protocol == "scratch"


def test_the_first_protocol_decides(rows: Rows, fits: Fits, tmp_path: Path) -> None:
    made = trained(rows, tmp_path, protocols=["warm_start"])
    assert len(names(made, "din", "warm_start")) == 10 and len(made.cells) == 10
    assert made.primary.protocol == "warm_start"
    assert [f["start"] is None for f in fits if f["feature"] == "none"] == [True, False]


def test_what_is_compared(rows: Rows, fits: Fits, tmp_path: Path) -> None:
    made = trained(rows, tmp_path, rankers=["dlrm"])
    pairs = compared_pairs(made.cells, made.best)
    assert all((a.ranker, a.protocol) == (b.ranker, b.protocol) for a, b in pairs)
    found = [(a.name, b.name) for a, b in pairs if (a.ranker, a.protocol) == ("din", "scratch")]
    others = ("imagenet", "no_contrast")
    expected = [(f"{e}/{f}", "none/none") for e in VALUES for f in FEATURES]
    expected += [(f"courier/{f}", f"{e}/{f}") for e in others for f in FEATURES]
    expected += [("courier/sim_score", f"{e}/cluster_id") for e in others]
    assert sorted(found) == sorted(expected)
    found = [(a.name, b.name) for a, b in pairs if (a.ranker, a.protocol) == ("dlrm", "warm_start")]
    best = ["sim_score", "cluster_id"]
    expected = [("courier/sim_score", f"{e}/{f}") for e in others for f in best]
    expected += [("courier/sim_score", "none/none")]
    expected += [(f"{e}/{f}", "none/none") for e in others for f in best]
    assert sorted(found) == sorted(expected)
    for cell in made.cells:  # nothing is trained that no comparison reads
        assert any(cell in pair for pair in pairs), cell.name


def test_what_confirms(rows: Rows, fits: Fits, tmp_path: Path) -> None:
    """Primary against no image and the best baseline on validation rows, in each protocol."""
    made = trained(rows, tmp_path, rankers=["dlrm"])
    for protocol, other in made.best_other.items():
        reached = {
            c.name: c.reached
            for c in made.cells
            if (c.embedding, c.ranker, c.protocol) == ("imagenet", "din", protocol)
        }
        assert other.name == max(reached, key=reached.__getitem__) and len(reached) > 1
        assert (other.ranker, other.protocol) == ("din", protocol)
    assert list(made.best_other) == ["scratch", "warm_start"]
    names = [(a.name, b.name, a.ranker, a.protocol) for a, b in made.confirmatory]
    assert names == [
        ("courier/sim_score", b, "din", protocol)
        for protocol in ("scratch", "warm_start")
        for b in ("none/none", made.best_other[protocol].name)
    ]
    pairs = [(id(a), id(b)) for a, b in compared_pairs(made.cells, made.best)]
    assert all(pairs.count((id(a), id(b))) == 1 for a, b in made.confirmatory)


def test_what_confirms_without_another_embedding(rows: Rows, fits: Fits, tmp_path: Path) -> None:
    settings = replace(SETTINGS, features=("none", "sim_score"))
    items = len(rows.item_ids)
    embeddings = {"courier": [embedding("courier", 0.5, items, "courier")]}
    made = train_cells(CellRunner(rows, settings, tmp_path, "data"), embeddings, settings)
    assert made.best_other == {}
    assert [(b.name, b.protocol) for _, b in made.confirmatory] == [
        ("none/none", "scratch"),
        ("none/none", "warm_start"),
    ]


def test_the_base_of_a_cell(rows: Rows, fits: Fits, tmp_path: Path) -> None:
    made = trained(rows, tmp_path, rankers=["dcn"])
    for cell in (*made.cells, *made.controls.values()):
        base = made.base(cell)
        assert (base.name, base.ranker, base.protocol) == (
            "none/none",
            cell.ranker,
            cell.protocol,
        )
