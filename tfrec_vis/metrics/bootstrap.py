"""Paired bootstrap of the difference between two AUCs, over users and seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tfrec_vis.metrics._inputs import as_labels, as_scores, group_codes

Floats = NDArray[np.float64]
ConcordantPairs = Callable[[Floats], Floats]
"""From user counts [r, users] to concordant pairs, a minus b, [seeds, r]."""


class Comparison(TypedDict):
    """What a paired test returns: AUC(a) - AUC(b), its 95 % interval and two-sided p."""

    difference: float
    ci95: list[float]
    p_value: float
    test: str


class SortedRows(NamedTuple):
    """The rows as one scorer sees them; positives are ordered by user."""

    positive_user: NDArray[np.int64]  # [p], ascending
    negative_user: NDArray[np.int64]  # [m], by ascending score
    below: NDArray[np.int64]  # [p], how many negatives score less than the positive
    not_above: NDArray[np.int64]  # [p], how many score less or the same


def paired_bootstrap(
    labels: ArrayLike,
    users: ArrayLike,
    scores_a: ArrayLike,
    scores_b: ArrayLike,
    replicates: int = 10_000,
    seed: int = 0,
    run_groups: ArrayLike | None = None,
) -> Comparison:
    """Compare two models on the same rows by a paired bootstrap over users and seeds.

    The difference is d = mean over seeds of AUC(a) - AUC(b). Each replicate draws as many users
    as there are, with replacement (all rows of a user with it), and as many seeds, with
    replacement, the same for a and b, and computes d* from them. The interval is the 2.5 % and
    97.5 % quantile of d*; p is two-sided, from the replicates centred on d:

        p = (r + 1) / (B + 1),     r = #{|d* - d| >= |d|}

    Replicates without a clicked or an un-clicked row have no AUC: they are dropped, and B
    counts the others. With one seed, the interval holds the users' variation alone.

    Runs that share something drawn at random, such as rankers on one pre-trained encoder, are not
    independent. Their common group is given in ``run_groups``: each replicate then draws as many
    groups as there are, with replacement, and from each group drawn as many runs as it has, with
    replacement; d* is the mean over the runs drawn. (Of G groups the draws show (G - 1) / G of the
    variance that new groups would: with two, half of it.)

    With few users for the rows, the concordant pairs of every two users are counted once a seed
    (D[u, v]: positives of u against negatives of v, ties half, a minus b), and replicates with
    user counts w are w^T D w / (w.positives w.negatives), one matrix product for all. With many
    users each replicate sums over the sorted rows instead, in bounded memory.

    Args:
        labels: [n], 0 or 1.
        users: [n], user ids of any dtype.
        scores_a: [seeds, n], scores of model a, one row a seed.
        scores_b: [seeds, n], scores of model b, trained with the same seeds.
        replicates: how many samples to draw.
        seed: of the random draws; the same seed gives the same result.
        run_groups: [seeds], the group of each run (its pre-training seed, say), ids of any dtype;
            every run is its own when left out.

    Returns:
        {"difference", "ci95": [low, high], "p_value", "test"}; numbers are NaN where undefined
        (one class only; for interval and p also fewer than two users).

    Raises:
        ValueError: on shapes that do not fit, bad labels, or non-finite scores.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 8 and 16.
    """
    y = as_labels(labels)
    a, b = _as_runs(scores_a, len(y), "scores_a"), _as_runs(scores_b, len(y), "scores_b")
    if len(a) != len(b):
        raise ValueError(f"expected the same seeds for a and b, got {len(a)} and {len(b)}")
    if replicates < 1:
        raise ValueError(f"expected at least 1 replicate, got {replicates}")
    codes, code_count = group_codes(users, len(y))
    present = np.bincount(codes, minlength=code_count) > 0
    codes = (np.cumsum(present) - 1)[codes]
    user_count, seed_count = int(present.sum()), len(a)

    groups = np.arange(seed_count) if run_groups is None else _as_groups(run_groups, seed_count)
    over = "seeds" if run_groups is None else "groups of seeds"
    test = f"paired bootstrap over users and {over}, {replicates:,} replicates"
    undefined = float("nan")
    result: Comparison = {
        "difference": undefined,
        "ci95": [undefined, undefined],
        "p_value": undefined,
        "test": test,
    }
    if not 0 < y.sum() < len(y):
        return result
    positives = np.bincount(codes, weights=y, minlength=user_count)
    negatives = np.bincount(codes, weights=1 - y, minlength=user_count)
    runs = [(sort_rows(y, codes, i), sort_rows(y, codes, j)) for i, j in zip(a, b, strict=True)]
    few = user_count <= 4_000 and user_count**2 <= 150 * len(y)  # the cheaper of the two
    pairs_of = by_matrix(runs, user_count) if few else by_rows(runs)

    observed = np.ones((1, user_count))
    difference = float(pairs_of(observed).mean() / (positives.sum() * negatives.sum()))
    result["difference"] = difference
    if user_count < 2:
        return result
    drawn = []
    for user_draws, seed_draws in draws(user_count, groups, replicates, seed):
        pairs = (user_draws @ positives) * (user_draws @ negatives)
        concordant = np.sum(pairs_of(user_draws) * seed_draws.T, axis=0) / seed_draws.sum(axis=1)
        drawn.append(concordant[pairs > 0] / pairs[pairs > 0])
    sample = np.concatenate(drawn)
    if len(sample):
        result["ci95"] = np.quantile(sample, [0.025, 0.975]).tolist()
        extreme = int(np.sum(np.abs(sample - difference) >= abs(difference)))
        result["p_value"] = (extreme + 1) / (len(sample) + 1)
    return result


def draws(
    users: int, groups: NDArray[np.int64], replicates: int, seed: int
) -> Iterator[tuple[Floats, Floats]]:
    """Yield how often each user and each seed is drawn, a chunk of replicates at a time.

    Args:
        users: how many users there are, and are drawn with replacement in each replicate.
        groups: [seeds], the group of each seed, 0..g-1: g groups are drawn with replacement, and
            for each as many of its seeds as it has.
        replicates: how many replicates, over all chunks.
        seed: of the random numbers; chunking does not change them.

    Yields:
        user counts [chunk, users] and seed counts [chunk, seeds], float64; rows sum to users
        and, with groups of one size, to seeds.
    """
    sizes = np.bincount(groups)
    streams = np.random.SeedSequence(seed).spawn(2 + len(sizes))
    of_users, of_groups, *within = [np.random.default_rng(stream) for stream in streams]
    chunk = int(np.clip(4_000_000 // users, 1, 1_000))
    for start in range(0, replicates, chunk):
        count = min(chunk, replicates - start)
        drawn = _counts(of_groups, len(sizes), count).astype(np.int64)
        seeds = np.zeros((count, len(groups)))
        for group, (size, stream) in enumerate(zip(sizes, within, strict=True)):
            seeds[:, groups == group] = stream.multinomial(
                drawn[:, group] * size, np.full(size, 1 / size)
            )
        yield _counts(of_users, users, count), seeds


def _counts(stream: np.random.Generator, kinds: int, size: int) -> Floats:
    drawn = stream.integers(0, kinds, size=(size, kinds)) + kinds * np.arange(size)[:, None]
    return np.bincount(drawn.ravel(), minlength=size * kinds).reshape(size, kinds).astype(float)


def _as_runs(scores: ArrayLike, rows: int, name: str) -> list[Floats]:
    array = np.asarray(scores, dtype=np.float64)
    if array.ndim != 2 or not len(array):
        raise ValueError(f"expected {name} of shape [seeds, {rows}], got shape {array.shape}")
    return [as_scores(run, rows, name) for run in array]


def _as_groups(run_groups: ArrayLike, runs: int) -> NDArray[np.int64]:
    array = np.asarray(run_groups)
    if array.shape != (runs,):
        raise ValueError(f"expected run_groups of shape ({runs},) as the seeds, got {array.shape}")
    return np.unique(array, return_inverse=True)[1]


def sort_rows(labels: NDArray[np.int64], codes: NDArray[np.int64], scores: Floats) -> SortedRows:
    positive = np.flatnonzero(labels == 1)
    positive = positive[np.argsort(codes[positive], kind="stable")]
    negative = np.flatnonzero(labels == 0)
    negative = negative[np.argsort(scores[negative])]
    ordered = scores[negative]
    return SortedRows(
        codes[positive],
        codes[negative],
        np.searchsorted(ordered, scores[positive], side="left"),
        np.searchsorted(ordered, scores[positive], side="right"),
    )


def by_matrix(runs: list[tuple[SortedRows, SortedRows]], users: int) -> ConcordantPairs:
    """Count the pairs of every two users once: w^T D w for user counts w.

    The product is in float32, which is exact while a user's pairs stay below 2^23 and good to
    1e-7 beyond.
    """
    matrices = [_pair_matrix(a, users) - _pair_matrix(b, users) for a, b in runs]

    def concordant(counts: Floats) -> Floats:
        weights = counts.astype(np.float32)
        products = (weights @ matrix for matrix in matrices)
        return np.stack([np.einsum("ru,ru->r", p.astype(float), counts) for p in products])

    return concordant


def _pair_matrix(rows: SortedRows, users: int) -> NDArray[np.float32]:
    """Return [users, users]: concordant pairs of u's positives with v's negatives."""
    cuts = np.unique(np.concatenate((rows.below, rows.not_above)))  # positions among negatives
    cell = np.searchsorted(cuts, np.arange(len(rows.negative_user)), side="right")
    below, not_above = np.searchsorted(cuts, rows.below), np.searchsorted(cuts, rows.not_above)
    starts = np.flatnonzero(np.diff(rows.positive_user, prepend=-1))
    owners = rows.positive_user[starts]
    matrix = np.zeros((users, users), np.float32)
    chunk = int(np.clip(1_000_000 // len(cuts), 1, users))
    for first in range(0, users, chunk):
        width = min(chunk, users - first)
        column = rows.negative_user - first
        mine = (column >= 0) & (column < width) & (cell < len(cuts))
        flat = cell[mine] * width + column[mine]
        counts = np.bincount(flat, minlength=len(cuts) * width).reshape(len(cuts), width)
        counts = np.cumsum(counts, axis=0)  # negatives of each user before each cut
        beaten = counts[below] + counts[not_above]
        matrix[owners, first : first + width] = np.add.reduceat(beaten, starts) / 2
    return matrix


def by_rows(runs: list[tuple[SortedRows, SortedRows]]) -> ConcordantPairs:
    """Sum over the sorted rows for every replicate: any number of users, bounded memory."""
    chunk = int(np.clip(2**17 // len(runs[0][0].negative_user), 4, 64))  # stays in the cache

    def concordant(counts: Floats) -> Floats:
        parts = []
        for first in range(0, len(counts), chunk):
            weights = np.ascontiguousarray(counts[first : first + chunk].T)
            parts.append([_pairs(a, weights) - _pairs(b, weights) for a, b in runs])
        return np.concatenate(parts, axis=1)

    return concordant


def _pairs(rows: SortedRows, weights: Floats) -> Floats:
    """Return [c]: concordant pairs, ties half, when users count as in weights [users, c]."""
    total = np.zeros((len(rows.negative_user) + 1, weights.shape[1]))
    np.cumsum(weights[rows.negative_user], axis=0, out=total[1:])
    beaten = total[rows.below] + total[rows.not_above]
    return np.einsum("pc,pc->c", beaten, weights[rows.positive_user]) / 2
