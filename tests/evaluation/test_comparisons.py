from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tfrec_vis.data import Impressions, read_impressions
from tfrec_vis.evaluation.cells import Cell
from tfrec_vis.evaluation.comparisons import compare, compare_all
from tfrec_vis.metrics import delong, holm


@pytest.fixture(scope="module")
def test_rows(prepared_shop: Path) -> Impressions:
    return read_impressions(prepared_shop, "test")


def cell(test: Impressions, name: str, trainings: int, seeds: int, gain: float = 0.0) -> Cell:
    """Runs of a pre-training share a part of their scores."""
    random = np.random.default_rng([trainings, seeds, len(name)])
    scores = random.normal(size=[trainings, 1, len(test)]) * np.ones([1, seeds, 1])
    scores = scores + random.normal(size=[trainings, seeds, len(test)]) + gain * test.clicked
    scores = scores.reshape(trainings * seeds, len(test))
    return Cell(name, "x", "dcn", "scratch", "", "all", trainings, scores, 0.0, {}, ())


def areas(test: Impressions, cell: Cell) -> np.ndarray:
    found = [roc_auc_score(test.clicked, scores) for scores in cell.test]
    return np.reshape(found, [cell.pretrain_seeds, cell.seeds])


@pytest.mark.parametrize("trainings", [(1, 1), (2, 1), (1, 2), (2, 2), (3, 2)])
def test_runs_are_paired_by_pretraining_and_seed(
    test_rows: Impressions, trainings: tuple[int, int]
) -> None:
    a = cell(test_rows, "a", trainings[0], 3, 0.5)
    b = cell(test_rows, "bb", trainings[1], 3)
    found = compare(a, b, test_rows, 100)
    together = int(np.lcm(*trainings))
    pairs = [
        areas(test_rows, a)[p % trainings[0], s] - areas(test_rows, b)[p % trainings[1], s]
        for p in range(together)
        for s in range(3)
    ]
    assert found["difference"] == pytest.approx(np.mean(pairs), abs=1e-9)
    # Every pre-training counts the same.
    expected = areas(test_rows, a).mean() - areas(test_rows, b).mean()
    assert found["difference"] == pytest.approx(expected, abs=1e-9)
    assert ("groups" in found["test"]) == (together > 1)
    assert found["ci95"][0] <= found["difference"] <= found["ci95"][1]
    assert (found["a"], found["b"], found["ranker"]) == ("a/x", "bb/x", "dcn")


def test_delong_is_of_the_mean_scores(test_rows: Impressions) -> None:
    a, b = cell(test_rows, "a", 2, 2, 0.5), cell(test_rows, "bb", 1, 2)
    expected = delong(test_rows.clicked, a.test.mean(axis=0), b.test.mean(axis=0))
    found = compare(a, b, test_rows, 50)["delong"]
    assert found == {"p_value": expected["p_value"], "ci95": expected["ci95"]}


def test_holm_is_over_all_comparisons(test_rows: Impressions) -> None:
    b = cell(test_rows, "none", 1, 2)
    others = [cell(test_rows, "a" * (i + 1), 1, 2, gain) for i, gain in enumerate((0, 0.2, 1))]
    found = compare_all([(a, b) for a in others], test_rows, 200)
    assert [c["p_holm"] for c in found] == holm([c["p_value"] for c in found])
    assert compare(others[2], b, test_rows, 200)["p_value"] == found[2]["p_value"]
    assert compare_all([], test_rows, 200) == []
