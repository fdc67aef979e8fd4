from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tfrec_vis.metrics import paired_bootstrap
from tfrec_vis.metrics.bootstrap import by_matrix, by_rows, draws, sort_rows


def sample(rows: int, users: int, seeds: int, gain: float, seed: int = 0, levels: float = 1e9):
    rng = np.random.default_rng(seed)
    user = rng.integers(0, users, rows)
    taste = rng.normal(0, 0.5, users)[user]  # rows of one user are alike
    labels = (rng.random(rows) < 1 / (1 + np.exp(1 - taste))).astype(int)
    noise = rng.normal(size=(2, seeds, rows))
    a = noise[0] + gain * labels
    b = 0.7 * noise[0] + 0.7 * noise[1]
    return labels, user, np.round(a * levels) / levels, np.round(b * levels) / levels


def by_loop(labels, users, a, b, replicates: int, seed: int, groups=None):
    """Resample the rows of whole users and call scikit-learn, replicate by replicate."""
    names = np.unique(users)
    groups = np.arange(len(a)) if groups is None else groups
    differences = []
    for user_counts, seed_counts in draws(len(names), groups, replicates, seed):
        for drawn_users, drawn_seeds in zip(user_counts, seed_counts, strict=True):
            rows = np.concatenate(
                [
                    np.flatnonzero(users == name)
                    for name, times in zip(names, drawn_users, strict=True)
                    for _ in range(int(times))
                ]
            )
            if len(set(labels[rows])) < 2:
                continue
            values = [
                roc_auc_score(labels[rows], a[s, rows]) - roc_auc_score(labels[rows], b[s, rows])
                for s, times in enumerate(drawn_seeds)
                for _ in range(int(times))
            ]
            differences.append(np.mean(values))
    return np.array(differences)


@pytest.mark.parametrize(
    ("rows", "users", "levels"),
    [(300, 12, 1e9), (300, 12, 2), (40, 90, 2), (9, 3, 1)],
    ids=["matrix", "ties", "many users", "undefined replicates"],
)
def test_equals_resampling_by_loop(rows: int, users: int, levels: float) -> None:
    labels, user, a, b = sample(rows, users, 3, 0.5, levels=levels)
    result = paired_bootstrap(labels, user, a, b, replicates=60, seed=5)
    expected = by_loop(labels, user, a, b, 60, 5)
    assert (len(expected) < 60) == (rows == 9)
    observed = np.mean(
        [roc_auc_score(labels, x) - roc_auc_score(labels, y) for x, y in zip(a, b, strict=True)]
    )
    extreme = np.sum(np.abs(expected - observed) >= abs(observed))
    assert result["difference"] == pytest.approx(observed, abs=1e-12)
    assert result["ci95"] == pytest.approx(np.quantile(expected, [0.025, 0.975]), abs=1e-9)
    assert result["p_value"] == (extreme + 1) / (len(expected) + 1)
    assert result["test"] == "paired bootstrap over users and seeds, 60 replicates"


def test_groups_of_runs_equal_resampling_by_loop() -> None:
    labels, user, a, b = sample(200, 12, 5, 0.5)
    groups = [0, 1, 0, 1, 1]
    named = ["second", "first", "second", "first", "first"]  # sorted: first is 0
    result = paired_bootstrap(labels, user, a, b, replicates=60, seed=5, run_groups=named)
    expected = by_loop(labels, user, a, b, 60, 5, 1 - np.array(groups))
    observed = np.mean(
        [roc_auc_score(labels, x) - roc_auc_score(labels, y) for x, y in zip(a, b, strict=True)]
    )
    extreme = np.sum(np.abs(expected - observed) >= abs(observed))
    assert result["difference"] == pytest.approx(observed, abs=1e-12)
    assert result["ci95"] == pytest.approx(np.quantile(expected, [0.025, 0.975]), abs=1e-9)
    assert result["p_value"] == (extreme + 1) / (len(expected) + 1)
    assert result["test"] == "paired bootstrap over users and groups of seeds, 60 replicates"


def test_groups_are_drawn_first_and_runs_within_them() -> None:
    groups = np.array([0, 0, 1, 2, 2, 2])
    counts = np.concatenate([seeds for _, seeds in draws(3, groups, 40_000, 1)])
    drawn = np.stack([counts[:, groups == g].sum(1) / (groups == g).sum() for g in range(3)], 1)
    np.testing.assert_array_equal(drawn, np.rint(drawn))  # whole groups
    np.testing.assert_array_equal(drawn.sum(1), 3)
    # Three draws of three groups: variance 3 (1/3) (2/3), mean 1.
    np.testing.assert_allclose(drawn.mean(0), 1, atol=0.02)
    np.testing.assert_allclose(drawn.var(0), 2 / 3, atol=0.03)
    once = counts[drawn[:, 2] == 1][:, groups == 2]  # three draws of three runs
    np.testing.assert_allclose(once.mean(0), 1, atol=0.03)
    np.testing.assert_allclose(once.var(0), 2 / 3, atol=0.03)


def test_one_run_a_group_is_no_grouping_and_shared_luck_widens_the_interval() -> None:
    labels, user, a, b = sample(3_000, 60, 6, 0.2)
    rng = np.random.default_rng(9)
    luck = np.repeat(rng.normal(0, 0.3, 2), 3)  # of two pre-trainings, in three runs each
    a = a + luck[:, None] * labels

    def width(run_groups) -> float:
        low, high = paired_bootstrap(labels, user, a, b, 2_000, run_groups=run_groups)["ci95"]
        return high - low

    assert width([4, 5, 6, 7, 8, 9]) == width(None)
    assert width([0, 0, 0, 1, 1, 1]) > 1.2 * width(None)


@pytest.mark.parametrize("levels", [3, 1e9])
def test_both_ways_of_counting_agree(levels: float) -> None:
    labels, user, a, b = sample(2_000, 150, 2, 0.3, levels=levels)
    runs = [
        (sort_rows(labels, user, x), sort_rows(labels, user, y)) for x, y in zip(a, b, strict=True)
    ]
    counts = next(draws(150, np.arange(2), 30, 0))[0]
    np.testing.assert_allclose(by_matrix(runs, 150)(counts), by_rows(runs)(counts), atol=1e-6)


def test_draws_are_the_same_however_they_are_chunked() -> None:
    groups = np.array([0, 1, 1, 0])
    users, seeds = zip(*draws(3_000, groups, 1_500, 7), strict=True)
    few = next(draws(3_000, groups, 20, 7))
    assert len(users) > 1 and len(np.concatenate(users)) == 1_500
    np.testing.assert_array_equal(np.concatenate(users)[:20], few[0])
    np.testing.assert_array_equal(np.concatenate(seeds)[:20], few[1])
    assert (np.concatenate(users).sum(1) == 3_000).all()
    assert (np.concatenate(seeds).sum(1) == 4).all()


def test_finds_a_gain_and_its_sign() -> None:
    labels, user, a, b = sample(4_000, 200, 3, 0.5)
    gain = paired_bootstrap(labels, user, a, b, replicates=999)
    loss = paired_bootstrap(labels, user, b, a, replicates=999)
    assert gain["difference"] > 0.1 and gain["ci95"][0] > 0 and gain["p_value"] == 1 / 1_000
    assert loss["difference"] == -gain["difference"]
    assert loss["ci95"] == pytest.approx([-gain["ci95"][1], -gain["ci95"][0]])


def test_interval_covers_and_p_is_level_where_nothing_differs() -> None:
    covered = rejected = 0
    for trial in range(100):
        labels, user, a, b = sample(400, 60, 2, 0.0, seed=trial)
        result = paired_bootstrap(labels, user, a, b, replicates=300, seed=trial)
        covered += result["ci95"][0] <= 0 <= result["ci95"][1]
        rejected += result["p_value"] < 0.05
    assert covered >= 88 and rejected <= 12  # about 95 and 5 are expected


def test_equal_models_differ_by_nothing() -> None:
    labels, user, a, _ = sample(300, 20, 2, 0.5)
    result = paired_bootstrap(labels, user, a, a, replicates=50)
    assert (result["difference"], result["ci95"], result["p_value"]) == (0, [0, 0], 1)


def test_user_ids_may_be_text() -> None:
    labels, user, a, b = sample(300, 20, 2, 0.5)
    text = np.array([f"u{i:03d}" for i in user], dtype=object)
    order = {name: i for i, name in enumerate(dict.fromkeys(text))}  # as they appear
    appeared = np.array([order[name] for name in text])
    assert paired_bootstrap(labels, text, a, b, 50) == paired_bootstrap(labels, appeared, a, b, 50)


def test_undefined() -> None:
    one_class = paired_bootstrap([1, 1], ["u", "v"], [[1, 2]], [[2, 1]], replicates=10)
    assert math.isnan(one_class["difference"]) and math.isnan(one_class["p_value"])
    empty = paired_bootstrap([], [], np.zeros((2, 0)), np.zeros((2, 0)), replicates=10)
    assert math.isnan(empty["difference"])
    one_user = paired_bootstrap([1, 0], ["u", "u"], [[2, 1]], [[1, 2]], replicates=10)
    assert one_user["difference"] == 1
    assert math.isnan(one_user["p_value"]) and all(map(math.isnan, one_user["ci95"]))


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="same seeds"):
        paired_bootstrap([0, 1], [1, 2], [[0, 1]], [[0, 1], [1, 0]])
    with pytest.raises(ValueError, match=r"\[seeds, 2\]"):
        paired_bootstrap([0, 1], [1, 2], [0, 1], [0, 1])
    with pytest.raises(ValueError, match=r"run_groups of shape \(1,\)"):
        paired_bootstrap([0, 1], [1, 2], [[0, 1]], [[0, 1]], run_groups=[0, 1])
    with pytest.raises(ValueError, match="replicate"):
        paired_bootstrap([0, 1], [1, 2], [[0, 1]], [[0, 1]], replicates=0)
