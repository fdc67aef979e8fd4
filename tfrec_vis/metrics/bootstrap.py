"""Paired bootstrap of the difference between two AUCs, over users, pre-trainings and seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tfrec_vis.metrics._inputs import as_labels, as_scores, group_codes

Floats = NDArray[np.float64]
ConcordantPairs = Callable[[Floats], Floats]
"""From user counts [r, users] to mixtures of the runs' concordant pairs, [mixtures, r]."""


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
    same_pretrainings: bool = False,
) -> Comparison:
    """Compare two models on the same rows by a paired bootstrap over users and trainings.

    The difference is d = mean of AUC(a) - mean of AUC(b) over all runs: S seeds of the ranker on
    each of G_a, G_b pre-trainings. Each replicate draws, with replacement and as many as there
    are, users (all rows of a user with it), the ranker's seeds (the same draw for a, b and all
    pre-trainings), and of each model with several pre-trainings those of its own. With A*[p, s]
    the AUCs of a's runs on the users drawn, and D*_s = mean_p A*[p, s] - mean_q B*[q, s],

        d* = mean_s D*_s + sum_s v_s D*_s + sum_p g_p mean_s A*[p, s] - sum_q h_q mean_s B*[q, s]

        v_s = sqrt(S / (S - 1)) (times s was drawn - 1) / S;       g with G_a, h with G_b alike

    The root makes the deviations of few drawn as wide as those of new ones; nothing drawn of one
    deviates. What is of one run alone counts in its seed and in its pre-training, so the interval
    errs on the wide side. It is the 2.5 % and 97.5 % quantile of d*; p is two-sided, from the
    replicates centred on d:

        p = (r + 1) / (B + 1),     r = #{|d* - d| >= |d|}

    Replicates without a clicked or an un-clicked row have no AUC: they are dropped, and B
    counts the others. With one seed, or one pre-training, the interval does not hold their
    variation; ``test`` says so of a pre-training. Two of anything are drawn in three ways alone:
    where their variation outweighs the users', the interval is rough.

    With few users for the rows, the concordant pairs of every two users are counted once a term
    of d* (D[u, v]: positives of u against negatives of v, ties half), and replicates with user
    counts w are w^T D w / (w.positives w.negatives), one matrix product for all. With many
    users each replicate sums over the sorted rows instead, in bounded memory.

    Args:
        labels: [n], 0 or 1.
        users: [n], user ids of any dtype.
        scores_a: [pre-trainings, seeds, n], scores of model a; [seeds, n] for a model that no
            pre-training is part of.
        scores_b: likewise of model b, trained with the same seeds.
        replicates: how many samples to draw.
        seed: of the random draws; the same seed gives the same result.
        same_pretrainings: whether pre-training p of a is that of b, as where two features of one
            embedding are compared: they are then drawn together (h = g).

    Returns:
        {"difference", "ci95": [low, high], "p_value", "test"}; numbers are NaN where undefined
        (one class only; for interval and p also fewer than two users).

    Raises:
        ValueError: on shapes that do not fit, bad labels, or non-finite scores.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 8 and 16; the
    factor: Rao and Wu, Journal of the American Statistical Association 1988.
    """
    y = as_labels(labels)
    a, b = _as_runs(scores_a, len(y), "scores_a"), _as_runs(scores_b, len(y), "scores_b")
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"expected the same seeds for a and b, got {a.shape[1]} and {b.shape[1]}")
    if same_pretrainings and len(a) != len(b):
        raise ValueError(f"expected the same pre-trainings for a and b, got {len(a)} and {len(b)}")
    if replicates < 1:
        raise ValueError(f"expected at least 1 replicate, got {replicates}")
    codes, code_count = group_codes(users, len(y))
    present = np.bincount(codes, minlength=code_count) > 0
    codes = (np.cumsum(present) - 1)[codes]

    undefined = float("nan")
    result: Comparison = {
        "difference": undefined,
        "ci95": [undefined, undefined],
        "p_value": undefined,
        "test": _test(np.ndim(scores_a), np.ndim(scores_b), a, b, replicates),
    }
    if not 0 < y.sum() < len(y):
        return result
    difference, sample = resample(y, codes, a, b, replicates, seed, same_pretrainings)
    result["difference"] = difference
    if len(sample):
        result["ci95"] = np.quantile(sample, [0.025, 0.975]).tolist()
        extreme = int(np.sum(np.abs(sample - difference) >= abs(difference)))
        result["p_value"] = (extreme + 1) / (len(sample) + 1)
    return result


def resample(
    labels: NDArray[np.int64],
    codes: NDArray[np.int64],
    a: Floats,
    b: Floats,
    replicates: int,
    seed: int,
    same_pretrainings: bool,
) -> tuple[float, Floats]:
    """The difference d and its replicates d* (see ``paired_bootstrap``).

    Args:
        labels: [n], of both classes.
        codes: [n], users 0..u-1, each with a row.
        a, b: [pre-trainings, seeds, n].
        replicates, seed, same_pretrainings: as there.

    Returns:
        d; float64 [replicates that have an AUC], none with fewer than two users.
    """
    user_count = int(codes.max()) + 1
    positives = np.bincount(codes, weights=labels, minlength=user_count)
    negatives = np.bincount(codes, weights=1 - labels, minlength=user_count)
    runs = [
        sort_rows(labels, codes, run) for side in (a, b) for run in side.reshape(-1, len(codes))
    ]
    mixtures = _mixtures(len(a), len(b), a.shape[1], same_pretrainings)
    few = user_count <= 4_000 and user_count**2 <= 150 * len(labels)  # the cheaper of the two
    pairs_of = by_matrix(runs, mixtures, user_count) if few else by_rows(runs, mixtures)

    seeds = a.shape[1]
    observed = pairs_of(np.ones((1, user_count)))[:seeds].mean()
    difference = float(observed / (positives.sum() * negatives.sum()))
    if user_count < 2:
        return difference, np.zeros(0)
    trainings = [len(a)] if same_pretrainings else [len(a), len(b)]
    kinds = [user_count, seeds, *(count for count in trainings if count > 1)]
    drawn = []
    for user_draws, seed_draws, *training_draws in draws(kinds, replicates, seed):
        weights = [1 / seeds + _deviations(seed_draws), *map(_deviations, training_draws)]
        pairs = (user_draws @ positives) * (user_draws @ negatives)
        concordant = np.sum(pairs_of(user_draws) * np.concatenate(weights, axis=1).T, axis=0)
        drawn.append(concordant[pairs > 0] / pairs[pairs > 0])
    return difference, np.concatenate(drawn)


def _mixtures(trainings_a: int, trainings_b: int, seeds: int, same: bool) -> Floats:
    """Which means of runs d* is made of: [terms, runs], runs of a by pre-training, then those of b.

    Terms are D_s for each seed, then, where there are several, the mean of each pre-training: of a
    (a minus b where they are the same) and of b (negative).
    """
    of_seed = [np.tile(np.eye(seeds) / count, count) for count in (trainings_a, trainings_b)]
    of_a, of_b = (
        np.repeat(np.eye(count), seeds, axis=1) / seeds for count in (trainings_a, trainings_b)
    )
    terms = [np.hstack([of_seed[0], -of_seed[1]])]
    if same and trainings_a > 1:
        terms.append(np.hstack([of_a, -of_b]))
    if not same and trainings_a > 1:
        terms.append(np.hstack([of_a, np.zeros((trainings_a, trainings_b * seeds))]))
    if not same and trainings_b > 1:
        terms.append(np.hstack([np.zeros((trainings_b, trainings_a * seeds)), -of_b]))
    return np.concatenate(terms)


def draws(kinds: Sequence[int], replicates: int, seed: int) -> Iterator[list[Floats]]:
    """Yield how often each of several kinds of things is drawn, a chunk of replicates at a time.

    Args:
        kinds: how many things there are of each kind; as many are drawn, with replacement.
        replicates: how many replicates, over all chunks.
        seed: of the random numbers; chunking does not change them, nor do the other kinds.

    Yields:
        counts [chunk, things] for each kind, float64; rows sum to the number of things.
    """
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(len(kinds))]
    chunk = int(np.clip(4_000_000 // max(kinds), 1, 1_000))
    for start in range(0, replicates, chunk):
        count = min(chunk, replicates - start)
        yield [_counts(stream, kind, count) for stream, kind in zip(streams, kinds, strict=True)]


def _counts(stream: np.random.Generator, kinds: int, size: int) -> Floats:
    drawn = stream.integers(0, kinds, size=(size, kinds)) + kinds * np.arange(size)[:, None]
    return np.bincount(drawn.ravel(), minlength=size * kinds).reshape(size, kinds).astype(float)


def _deviations(counts: Floats) -> Floats:
    """Weights that add the deviation of the things drawn from all: [replicates, things]."""
    things = counts.shape[1]
    return (counts - 1) / np.sqrt(things * max(things - 1, 1))


def _as_runs(scores: ArrayLike, rows: int, name: str) -> Floats:
    array = np.asarray(scores, dtype=np.float64)
    if array.ndim not in (2, 3) or not all(array.shape[:-1]):
        raise ValueError(
            f"expected {name} of shape [seeds, {rows}] or [pre-trainings, seeds, {rows}], got "
            f"shape {array.shape}"
        )
    array = array[np.newaxis] if array.ndim == 2 else array
    return np.stack([[as_scores(run, rows, name) for run in training] for training in array])


def _test(dim_a: int, dim_b: int, a: Floats, b: Floats, replicates: int) -> str:
    """What was drawn, and what was not."""
    over = "users, pre-trainings and seeds" if max(len(a), len(b)) > 1 else "users and seeds"
    text = f"paired bootstrap over {over}, {replicates:,} replicates"
    alone = [n for n, dim, x in (("a", dim_a, a), ("b", dim_b, b)) if dim == 3 and len(x) == 1]
    return f"{text}; holds for this one pre-training of {' and '.join(alone)}" if alone else text


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


def by_matrix(runs: Sequence[SortedRows], mixtures: Floats, users: int) -> ConcordantPairs:
    """Count the pairs of every two users once: w^T D w for user counts w.

    The product is in float32, which is exact while a user's pairs stay below 2^23 and good to
    1e-7 beyond.
    """
    matrices = np.zeros((len(mixtures), users, users), np.float32)
    for number, run in enumerate(runs):
        counted = _pair_matrix(run, users)
        for term in np.flatnonzero(mixtures[:, number]):
            matrices[term] += np.float32(mixtures[term, number]) * counted

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


def by_rows(runs: Sequence[SortedRows], mixtures: Floats) -> ConcordantPairs:
    """Sum over the sorted rows for every replicate: any number of users, bounded memory."""
    chunk = int(np.clip(2**17 // len(runs[0].negative_user), 4, 64))  # stays in the cache

    def concordant(counts: Floats) -> Floats:
        parts = []
        for first in range(0, len(counts), chunk):
            weights = np.ascontiguousarray(counts[first : first + chunk].T)
            parts.append(mixtures @ np.stack([_pairs(run, weights) for run in runs]))
        return np.concatenate(parts, axis=1)

    return concordant


def _pairs(rows: SortedRows, weights: Floats) -> Floats:
    """Return [c]: concordant pairs, ties half, when users count as in weights [users, c]."""
    total = np.zeros((len(rows.negative_user) + 1, weights.shape[1]))
    np.cumsum(weights[rows.negative_user], axis=0, out=total[1:])
    beaten = total[rows.below] + total[rows.not_above]
    return np.einsum("pc,pc->c", beaten, weights[rows.positive_user]) / 2
