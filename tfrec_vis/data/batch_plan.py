"""Which pages or rows go together into a batch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def plan_batches(
    user: np.ndarray, batch_size: int, seed: int | None, epoch: int = 0
) -> list[np.ndarray]:
    """Deals pages into batches with at most one page of a user in each.

    Another page of the same user would be a false negative of the contrast. Pages are laid out
    user by user and dealt round robin, so a user's pages meet in one batch only where the user
    has more pages than there are batches. Batches differ in size by at most one page.

    Args:
        user: [pages], the user of each page, any dtype that sorts.
        batch_size: pages in a batch, at most.
        seed: shuffles users, their pages and the batches; None keeps the order given.
        epoch: varies the shuffle.

    Returns:
        Page numbers of each batch; every page occurs exactly once. A pure function of its
        arguments, so an interrupted epoch can be taken up at any batch.
    """
    pages = len(user)
    if pages == 0:
        return []
    count = -(-pages // batch_size)
    if seed is None:
        return np.array_split(np.arange(pages), count)
    return _deal(user, count, np.random.default_rng([seed, epoch]))


def plan_in_windows(
    user: np.ndarray,
    block: np.ndarray,
    batch_size: int,
    window: int,
    seed: int | None,
    epoch: int = 0,
) -> list[np.ndarray]:
    """Deals pages into batches so that batches near each other need few blocks.

    Blocks are shuffled whole. Of this order a window of consecutive pages is dealt as
    ``plan_batches`` does it, then the next: a user's pages meet in one batch only where the user
    has more pages in a window than it has batches. Batches differ in size by at most one page.

    Args:
        user: [pages], the user of each page, any dtype that sorts.
        block: int [pages], the block of each page, counted from 0.
        batch_size: pages in a batch, at most.
        window: pages that are shuffled with each other, at most; at least a batch. Windows have
            the same number of batches, or one less.
        seed: of the shuffle; None keeps the order given.
        epoch: varies the shuffle.

    Returns:
        Page numbers of each batch, as many as from ``plan_batches``. A pure function.
    """
    if seed is None or not len(user):
        return plan_batches(user, batch_size, seed, epoch)
    random = np.random.default_rng([seed, epoch])
    order = np.argsort(random.permutation(block.max() + 1)[block], kind="stable")
    parts = np.array_split(order, -(-len(order) // batch_size))
    windows = -(-len(parts) // max(window // batch_size, 1))
    batches = []
    for numbers in np.array_split(np.arange(len(parts)), windows):
        rows = np.concatenate([parts[number] for number in numbers])
        batches += [np.sort(rows[dealt]) for dealt in _deal(user[rows], len(numbers), random)]
    return batches


def _deal(user: np.ndarray, count: int, random: np.random.Generator) -> list[np.ndarray]:
    """Pages user by user, dealt round robin to ``count`` batches, which are shuffled."""
    _, user = np.unique(user, return_inverse=True)
    rank = random.permutation(user.max() + 1)[user]
    order = np.lexsort((random.permutation(len(user)), rank))
    batches = [np.sort(order[first::count]) for first in range(count)]
    return [batches[i] for i in random.permutation(count)]


def plan_rows(
    rows: np.ndarray, batch_size: int, seed: int | None
) -> Callable[[int], list[np.ndarray]]:
    """The batches of an epoch of plain rows.

    Args:
        rows: row numbers, in the order of an unshuffled epoch.
        batch_size: rows in a batch; the last one has what is left.
        seed: shuffles the rows anew for each epoch; None keeps their order.

    Returns:
        epoch -> row numbers of each batch; a pure function.
    """

    def plan(epoch: int) -> list[np.ndarray]:
        order = rows if seed is None else np.random.default_rng([seed, epoch]).permutation(rows)
        return [order[first : first + batch_size] for first in range(0, len(order), batch_size)]

    return plan
