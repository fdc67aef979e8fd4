"""Chooses the clusters that a report pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_EACH = 2
_LEAST = 8
"""Items that a cluster needs to be called pure."""


@dataclass(frozen=True)
class ChosenCluster:
    """A cluster, and the items of it to show.

    Attributes:
        cluster, why, size, category, share: as in ``ClusterExample``.
        items: item_index of some of its items.
    """

    cluster: int
    why: str
    size: int
    category: str
    share: float
    items: np.ndarray


def choose_clusters(
    clusters: np.ndarray, categories: np.ndarray, pictures: int = 8
) -> list[ChosenCluster]:
    """The two largest clusters, the two purest by category, and two drawn at random (seeded).

    A cluster is shown once. One is pure where most of its items have the same category; those
    of less than eight items do not count, and the larger of two equally pure ones comes first.

    Args:
        clusters: int [items + 1], -1 for none; row 0 is no item.
        categories: str object [items + 1], "" for unknown.
        pictures: items to show of each, drawn at random (seeded).
    """
    clusters = np.where(np.arange(len(clusters)) > 0, clusters, -1)
    names, sizes = np.unique(clusters[clusters >= 0], return_counts=True)
    random = np.random.default_rng(0)
    known = {int(name): _commonest(categories[clusters == name]) for name in names}
    size_of = {int(name): int(size) for name, size in zip(names, sizes, strict=True)}

    def purity(name: int) -> tuple[float, int, int]:
        return (-known[name][1], -size_of[name], name)

    largest = sorted(size_of, key=lambda name: (-size_of[name], name))
    purest = sorted((n for n in size_of if known[n][0] and size_of[n] >= _LEAST), key=purity)
    drawn = [int(name) for name in random.permutation(names)]
    chosen: dict[int, str] = {}
    for why, order in (("largest", largest), ("purest", purest), ("random", drawn)):
        for name in [name for name in order if name not in chosen][:_EACH]:
            chosen[name] = why
    return [
        ChosenCluster(
            name,
            why,
            size_of[name],
            *known[name],
            random.permutation(np.flatnonzero(clusters == name))[:pictures],
        )
        for name, why in chosen.items()
    ]


def _commonest(categories: np.ndarray) -> tuple[str, float]:
    """The most frequent category that is known, and its share of all."""
    names, counts = np.unique(categories[categories != ""].astype(str), return_counts=True)
    if not len(names):
        return "", 0.0
    most = int(np.argmax(counts))
    return str(names[most]), float(counts[most] / len(categories))
