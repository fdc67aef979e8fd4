from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tfrec_vis.data import Impressions, read_impressions
from tfrec_vis.evaluation.cells import Cell
from tfrec_vis.evaluation.comparisons import compare, compare_all
from tfrec_vis.metrics import delong, holm, paired_bootstrap


@pytest.fixture(scope="module")
def test_rows(prepared_shop: Path) -> Impressions:
    return read_impressions(prepared_shop, "test")


def cell(
    test: Impressions,
    name: str,
    trainings: int,
    seeds: int,
    gain: float = 0.0,
    role: str = "baseline",
) -> Cell:
    """Runs of a pre-training share a part of their scores."""
    random = np.random.default_rng([trainings, seeds, len(name)])
    scores = random.normal(size=[trainings, 1, len(test)]) * np.ones([1, seeds, 1])
    scores = scores + random.normal(size=[trainings, seeds, len(test)]) + gain * test.clicked
    numbers = tuple(range(7, 7 + trainings))
    reached = np.zeros([trainings, seeds])
    return Cell(name, "x", "dcn", "scratch", role, "all", numbers, scores, reached, reached, {}, ())


def areas(test: Impressions, cell: Cell) -> np.ndarray:
    return np.array([[roc_auc_score(test.clicked, s) for s in runs] for runs in cell.test])


@pytest.mark.parametrize("trainings", [(1, 1), (2, 1), (1, 2), (2, 2), (3, 2)])
def test_is_the_bootstrap_of_pretrainings_and_seeds(
    test_rows: Impressions, trainings: tuple[int, int]
) -> None:
    a = cell(test_rows, "a", trainings[0], 3, 0.5)
    b = cell(test_rows, "bb", trainings[1], 3)
    found = compare(a, b, test_rows, 100)
    # Every pre-training counts the same.
    expected = areas(test_rows, a).mean() - areas(test_rows, b).mean()
    assert found["difference"] == pytest.approx(expected, abs=1e-7)
    users = test_rows.user_id.astype(str)
    whole = paired_bootstrap(test_rows.clicked, users, a.test, b.test, 100)
    assert {name: found[name] for name in whole} == whole
    assert ("pre-trainings and seeds" in found["test"]) == (trainings != (1, 1))
    assert ("this one pre-training of" in found["test"]) == (1 in trainings)
    assert (found["a"], found["b"], found["ranker"]) == ("a/x", "bb/x", "dcn")
    assert (found["family"], found["p_holm"]) == (None, None)


def test_pretrainings_of_the_same_encoder_are_drawn_together(test_rows: Impressions) -> None:
    users = test_rows.user_id.astype(str)
    a = cell(test_rows, "courier", 2, 2, role="courier")
    b = replace(cell(test_rows, "other", 2, 2), embedding="courier", feature="y", role="courier")
    mixed = replace(b, embedding="shuffled", role="control")
    apart = replace(b, embedding="simclr", role="baseline")
    for other, same in ((b, True), (mixed, True), (apart, False)):
        expected = paired_bootstrap(
            test_rows.clicked, users, a.test, other.test, 100, same_pretrainings=same
        )
        assert compare(a, other, test_rows, 100)["ci95"] == expected["ci95"]


@pytest.mark.parametrize("role", ["none", "oracle"])
def test_nothing_is_said_of_pretrainings_where_there_are_none(
    test_rows: Impressions, role: str
) -> None:
    b = cell(test_rows, "none", 1, 2, role=role)
    for trainings, text in ((1, "; holds for this one pre-training of a"), (2, "")):
        found = compare(cell(test_rows, "a", trainings, 2), b, test_rows, 50)
        assert found["test"].endswith(f"50 replicates{text}")


@pytest.mark.parametrize("seeds", [1, 3, 4])
def test_delong_is_of_the_run_with_the_median_difference(
    test_rows: Impressions, seeds: int
) -> None:
    a, b = cell(test_rows, "a", 2, seeds, 0.5), cell(test_rows, "bb", 1, seeds)
    runs = [delong(test_rows.clicked, a.test[0, s], b.test[0, s]) for s in range(seeds)]
    order = np.argsort([run["difference"] for run in runs])
    median = runs[order[{1: 0, 3: 1, 4: 1}[seeds]]]
    found = compare(a, b, test_rows, 50)["delong"]
    assert found == {name: median[name] for name in ("difference", "p_value", "ci95")}
    low, high = found["ci95"]
    assert low < found["difference"] < high


def test_holm_is_over_the_comparisons_of_a_family(test_rows: Impressions) -> None:
    b = cell(test_rows, "none", 1, 2, role="none")
    gains = (0, 0.1, 0.2, 0.15, 1, 1)
    others = [cell(test_rows, "a" * (i + 1), 1, 2, gain) for i, gain in enumerate(gains)]
    others[5] = replace(others[5], role="oracle")
    pairs = [(a, b) for a in others]
    found = compare_all(pairs, [pairs[1], pairs[3]], test_rows, 200)
    families = ["exploratory", "confirmatory"] * 2 + ["exploratory", None]
    assert [c["family"] for c in found] == families
    for family in ("exploratory", "confirmatory"):
        mine = [c for c in found if c["family"] == family]
        assert [c["p_holm"] for c in mine] == holm([c["p_value"] for c in mine])
        assert any(c["p_holm"] > c["p_value"] for c in mine)
    assert found[5]["p_holm"] is None and found[5]["p_value"] < 0.05
    assert compare(others[2], b, test_rows, 200)["p_value"] == found[2]["p_value"]
    assert compare_all([], [], test_rows, 200) == []
