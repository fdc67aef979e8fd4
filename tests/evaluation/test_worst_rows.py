from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tfrec_vis.data import Impressions
from tfrec_vis.evaluation.worst_rows import mean_scores, score_columns, worst_rows

PRIMARY = {
    "embedding": "courier",
    "feature": "sim_score",
    "ranker": "din",
    "protocol": "scratch",
}


def impressions(users: list[str], items: list[int], clicked: list[int]) -> Impressions:
    n = len(users)
    return Impressions(
        user_id=np.array(users, object),
        page_id=np.array([str(i) for i in range(n)], object),
        item_index=np.array(items, np.int32),
        clicked=np.array(clicked, np.int32),
        timestamp=np.arange(n),
        history=np.zeros([n, 2], np.int32),
        in_pretraining=np.zeros(n, bool),
        item_seen_in_training=np.ones(n, bool),
        context={},
    )


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (
            [
                "courier/sim_score/din/scratch/0/0",
                "courier/sim_score/din/warm_start/0/0",
                "courier/sim_score/dcn/scratch/0/0",
                "courier/sim_score/din/scratch/1/0",
                "courier/sim_score+cluster_id/din/scratch/0/0",
                "row_id",
            ],
            [0, 3],
        ),
        (["row_id", "clicked"], []),
    ],
)
def test_columns_of_the_primary_model(names: list[str], expected: list[int]) -> None:
    assert score_columns(names, PRIMARY) == [names[n] for n in expected]


def test_mean_scores_are_in_the_order_of_the_rows(tmp_path: Path) -> None:
    path = tmp_path / "predictions.parquet"
    frame = pd.DataFrame(
        {
            "row_id": [2, 0, 1],
            "user_id": ["a", "b", "c"],
            "clicked": [1, 0, 0],
            "none/none/din/scratch/0/0": [0.9, 0.9, 0.9],
            "courier/sim_score/din/scratch/0/0": [0.2, 0.4, 0.6],
            "courier/sim_score/din/scratch/0/1": [0.4, 0.4, 0.8],
        }
    )
    frame.to_parquet(path, index=False)
    np.testing.assert_allclose(mean_scores(path, PRIMARY), [0.4, 0.7, 0.3])
    assert mean_scores(path, {**PRIMARY, "embedding": "simclr"}) is None


def test_against_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    users = [f"u{n}" for n in rng.integers(0, 40, 500)]
    items = rng.integers(1, 60, 500).tolist()
    clicked = rng.integers(0, 2, 500).tolist()
    scores = rng.random(500)
    expected: list[tuple[int, float]] = []
    for label in (1, 0):
        rows = [n for n in range(500) if clicked[n] == label]
        losses = {n: -np.log(scores[n] if label else 1 - scores[n]) for n in rows}
        kept: list[int] = []
        for n in sorted(rows, key=lambda n: -losses[n]):
            if all(users[n] != users[k] and items[n] != items[k] for k in kept):
                kept.append(n)
        expected += [(n, losses[n]) for n in kept[:4]]
    found = worst_rows(impressions(users, items, clicked), scores)
    assert [row for row, _ in found] == [row for row, _ in expected]
    np.testing.assert_allclose([loss for _, loss in found], [loss for _, loss in expected])


def test_certain_scores_and_few_rows() -> None:
    rows = impressions(["a", "b"], [1, 2], [1, 1])
    found = worst_rows(rows, np.array([0.0, 1.0]))
    assert [row for row, _ in found] == [0, 1]
    assert np.isfinite([loss for _, loss in found]).all() and found[1][1] == 0
    assert worst_rows(impressions([], [], []), np.empty(0)) == []
