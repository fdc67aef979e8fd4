from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tfrec_vis.metrics import paired_bootstrap
from tfrec_vis.metrics.bootstrap import by_matrix, by_rows, draws, resample, sort_rows


def sample(rows: int, users: int, seeds: int, gain: float, seed: int = 0, levels: float = 1e9):
    rng = np.random.default_rng(seed)
    user = rng.integers(0, users, rows)
    taste = rng.normal(0, 0.5, users)[user]  # rows of one user are alike
    labels = (rng.random(rows) < 1 / (1 + np.exp(1 - taste))).astype(int)
    noise = rng.normal(size=(2, seeds, rows))
    a = noise[0] + gain * labels
    b = 0.7 * noise[0] + 0.7 * noise[1]
    return labels, user, np.round(a * levels) / levels, np.round(b * levels) / levels


def areas(labels, runs) -> np.ndarray:
    """AUC of each run: [pre-trainings, seeds]."""
    return np.array([[roc_auc_score(labels, run) for run in training] for training in runs])


def deviation(times, values) -> float:
    """By how much the mean of the values drawn is off, widened to that of new ones."""
    count = len(values)
    drawn = np.repeat(values, times.astype(int)).mean()
    return (drawn - values.mean()) * math.sqrt(count / (count - 1)) if count > 1 else 0.0


def by_loop(labels, users, a, b, replicates: int, seed: int, same: bool = False):
    """Resample the rows of whole users and call scikit-learn, replicate by replicate."""
    names = np.unique(users)
    kinds = [len(names), a.shape[1]]
    kinds += [n for n in ([len(a)] if same else [len(a), len(b)]) if n > 1]
    chunks = zip(*draws(kinds, replicates, seed), strict=True)
    differences = []
    for of_users, of_seeds, *others in zip(*map(np.concatenate, chunks), strict=True):
        of_a = others.pop(0) if len(a) > 1 else np.ones(1)
        of_b = of_a if same else others.pop(0) if len(b) > 1 else np.ones(1)
        rows = np.concatenate(
            [
                np.flatnonzero(users == name)
                for name, times in zip(names, of_users, strict=True)
                for _ in range(int(times))
            ]
        )
        if len(set(labels[rows])) < 2:
            continue
        area_a, area_b = areas(labels[rows], a[..., rows]), areas(labels[rows], b[..., rows])
        value = area_a.mean() - area_b.mean()
        value += deviation(of_seeds, area_a.mean(0) - area_b.mean(0))
        value += deviation(of_a, area_a.mean(1))
        value -= deviation(of_b, area_b.mean(1))
        differences.append(value)
    return np.array(differences)


def check_equals_loop(labels, user, a, b, same: bool = False, drops: bool = False) -> str:
    """Checks all numbers of a comparison, gives its text."""
    result = paired_bootstrap(labels, user, a, b, replicates=60, seed=5, same_pretrainings=same)
    a, b = (x if x.ndim == 3 else x[np.newaxis] for x in (a, b))
    expected = by_loop(labels, user, a, b, 60, 5, same)
    assert (len(expected) < 60) == drops
    observed = areas(labels, a).mean() - areas(labels, b).mean()
    extreme = np.sum(np.abs(expected - observed) >= abs(observed))
    assert result["difference"] == pytest.approx(observed, abs=1e-7)
    assert result["ci95"] == pytest.approx(np.quantile(expected, [0.025, 0.975]), abs=1e-7)
    assert result["p_value"] == (extreme + 1) / (len(expected) + 1)
    return result["test"]


@pytest.mark.parametrize(
    ("rows", "users", "levels"),
    [(300, 12, 1e9), (300, 12, 2), (40, 90, 2), (9, 3, 1)],
    ids=["matrix", "ties", "many users", "undefined replicates"],
)
def test_equals_resampling_by_loop(rows: int, users: int, levels: float) -> None:
    labels, user, a, b = sample(rows, users, 3, 0.5, levels=levels)
    text = check_equals_loop(labels, user, a, b, drops=rows == 9)
    assert text == "paired bootstrap over users and seeds, 60 replicates"


def pretrained(trainings: int, scores: np.ndarray, seed: int) -> np.ndarray:
    """Runs on several pre-trainings, each with noise of its own and of its pre-training."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 0.5, [trainings, 1, scores.shape[-1]])
    return scores + noise + rng.normal(0, 0.5, [trainings, *scores.shape])


@pytest.mark.parametrize(
    ("of_a", "of_b", "same", "over", "more"),
    [
        (2, 2, False, "users, pre-trainings and seeds", ""),
        (2, 2, True, "users, pre-trainings and seeds", ""),
        (3, 2, False, "users, pre-trainings and seeds", ""),
        (
            1,
            3,
            False,
            "users, pre-trainings and seeds",
            "; holds for this one pre-training of a",
        ),
        (2, None, False, "users, pre-trainings and seeds", ""),
        (1, None, False, "users and seeds", "; holds for this one pre-training of a"),
        (1, 1, True, "users and seeds", "; holds for this one pre-training of a and b"),
    ],
)
@pytest.mark.parametrize("users", [12, 250], ids=["matrix", "rows"])
def test_pretrainings_equal_resampling_by_loop(of_a, of_b, same, over, more, users: int) -> None:
    labels, user, a, b = sample(300, users, 2, 0.5)
    a = pretrained(of_a, a, 1)
    b = b if of_b is None else pretrained(of_b, b, 2)
    text = check_equals_loop(labels, user, a, b, same)
    assert text == f"paired bootstrap over {over}, 60 replicates{more}"


def as_if_one_user_each(labels, *scores, users: int = 8):
    """The same rows for every user: whoever is drawn, the AUCs stay."""
    return (
        np.tile(labels, users),
        np.repeat(np.arange(users), len(labels)),
        *(np.tile(x, users) for x in scores),
    )


def of_means(values: np.ndarray) -> float:
    """Variance of the mean of as many new values: unbiased."""
    return values.var(ddof=1) / len(values) if len(values) > 1 else 0.0


@pytest.mark.parametrize("shape", [(2, 2, False), (3, 2, False), (1, 4, False), (3, 3, True)])
def test_replicates_vary_as_new_pretrainings_and_seeds_do(shape) -> None:
    of_a, of_b, same = shape
    labels, _, a, b = sample(120, 10, 3, 0.5)
    a, b = pretrained(of_a, a, 1), pretrained(of_b, b, 2)
    area_a, area_b = areas(labels, a), areas(labels, b)
    labels, user, a, b = as_if_one_user_each(labels, a, b)
    _, replicates = resample(labels, user, a, b, 20_000, 0, same)
    expected = of_means(area_a.mean(0) - area_b.mean(0))
    if same:
        expected += of_means(area_a.mean(1) - area_b.mean(1))
    else:
        expected += of_means(area_a.mean(1)) + of_means(area_b.mean(1))
    assert replicates.var() == pytest.approx(expected, rel=0.05)
    assert replicates.mean() == pytest.approx(area_a.mean() - area_b.mean(), abs=1e-3)


@pytest.mark.parametrize("shape", [(2, 2, False), (3, 2, False), (1, 3, False), (2, 2, True)])
def test_replicates_vary_as_repeated_experiments_do(shape) -> None:
    """Experiments with new users, pre-trainings and seeds; the one of a single one stays."""
    of_a, of_b, same = shape
    rng = np.random.default_rng(sum(shape))
    differences, variances = [], []
    for _ in range(250):
        users = np.repeat(np.arange(40), 6)
        taste = rng.normal(0, 0.7, 40)[users]
        labels = (rng.random(240) < 1 / (1 + np.exp(0.5 - taste))).astype(int)
        luck = [rng.normal(0, 0.3, [n, 1, 1]) * (n > 1) for n in (of_a, of_b)]
        if same:  # of one encoder; what it does to each feature is alike, not equal
            luck[1] = luck[0] + rng.normal(0, 0.15, [of_b, 1, 1])
        seeds = rng.normal(0, 0.2, [2, 1, 3, 1])
        shared = rng.normal(size=240)
        a, b = (shared + (0.5 + luck[side] + seeds[side]) * (labels - 0.4) for side in (0, 1))
        difference, replicates = resample(labels, users, a, b, 200, 0, same)
        differences.append(difference)
        variances.append(replicates.var())
    assert np.mean(variances) == pytest.approx(np.var(differences), rel=0.25)


def test_copies_of_a_pretraining_are_no_further_ones() -> None:
    labels, user, a, b = sample(600, 30, 3, 0.2)
    once = paired_bootstrap(labels, user, a[np.newaxis], b, 500)
    for copies in (2, 3):
        copied = paired_bootstrap(labels, user, np.stack([a] * copies), b, 500)
        assert copied["ci95"] == pytest.approx(once["ci95"], abs=1e-6)
        assert copied["difference"] == pytest.approx(once["difference"], abs=1e-6)


def width(labels, user, a, b, **more) -> float:
    low, high = paired_bootstrap(labels, user, a, b, 2_000, **more)["ci95"]
    return high - low


def test_luck_of_pretrainings_widens_the_interval() -> None:
    labels, user, a, b = sample(3_000, 60, 3, 0.2)
    a, b = np.stack([a, a]), np.stack([b, b])
    luck = np.array([-0.3, 0.3])[:, None, None] * labels
    plain = width(labels, user, a, b)
    assert width(labels, user, a + luck, b) > 1.5 * plain
    # Luck that both share goes away where they are drawn together, and there alone.
    assert width(labels, user, a + luck, b + luck, same_pretrainings=True) < 1.1 * plain
    assert width(labels, user, a + luck, b + luck) > 2 * plain


def test_mispaired_seeds_and_pretrainings_widen_the_interval() -> None:
    labels, user, a, b = sample(3_000, 60, 3, 0.2)
    luck = np.array([-0.3, 0.0, 0.3])[:, None] * labels
    paired = width(labels, user, a + luck, b + luck)
    assert width(labels, user, (a + luck)[[1, 2, 0]], b + luck) > 1.5 * paired
    a, b = np.stack([a] * 3) + luck[:, None], np.stack([b] * 3) + luck[:, None]
    paired = width(labels, user, a, b, same_pretrainings=True)
    assert width(labels, user, a[[1, 2, 0]], b, same_pretrainings=True) > 1.5 * paired


def test_what_is_drawn_is_drawn_by_itself() -> None:
    few = np.concatenate([counts for _, _, counts in draws([3, 2, 4], 40_000, 1)])
    np.testing.assert_array_equal(few.sum(1), 4)
    np.testing.assert_allclose(few.mean(0), 1, atol=0.02)
    np.testing.assert_allclose(few.var(0), 3 / 4, atol=0.03)  # 4 draws, (1/4) (3/4) each
    for one, other in zip(draws([3, 2, 4], 50, 1), draws([3, 2], 50, 1), strict=True):
        for left, right in zip(one, other, strict=False):
            np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("levels", [3, 1e9])
def test_both_ways_of_counting_agree(levels: float) -> None:
    labels, user, a, b = sample(2_000, 150, 2, 0.3, levels=levels)
    runs = [sort_rows(labels, user, x) for x in (*a, *b)]
    mixtures = np.array([[1, 0, -1, 0], [0.5, 0.5, -0.5, -0.5], [0, 0, 0, 1]])
    counts = next(draws([150], 30, 0))[0]
    found = by_rows(runs, mixtures)(counts)
    assert found.shape == (3, 30)
    np.testing.assert_allclose(by_matrix(runs, mixtures, 150)(counts), found, atol=1e-6)


def test_draws_are_the_same_however_they_are_chunked() -> None:
    users, seeds = zip(*draws([3_000, 4], 1_500, 7), strict=True)
    few = next(draws([3_000, 4], 20, 7))
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
    with pytest.raises(ValueError, match=r"or \[pre-trainings, seeds, 2\]"):
        paired_bootstrap([0, 1], [1, 2], np.zeros((0, 1, 2)), [[0, 1]])
    with pytest.raises(ValueError, match=r"scores_b of shape \(2,\)"):
        paired_bootstrap([0, 1], [1, 2], [[0, 1]], [[[0, 1, 2]]])
    with pytest.raises(ValueError, match="same pre-trainings for a and b, got 1 and 2"):
        two = [[[0, 1]], [[0, 1]]]
        paired_bootstrap([0, 1], [1, 2], [[[0, 1]]], two, same_pretrainings=True)
    with pytest.raises(ValueError, match="replicate"):
        paired_bootstrap([0, 1], [1, 2], [[0, 1]], [[0, 1]], replicates=0)
