from __future__ import annotations

import numpy as np

from tfrec_vis.evaluation.chosen_clusters import choose_clusters


def shop() -> tuple[np.ndarray, np.ndarray]:
    """Clusters 0 to 9 of 4, 6, ..., 22 items; the even ones of one category for the most part."""
    sizes = [4 + 2 * n for n in range(10)]
    clusters = np.concatenate([[-1], np.repeat(np.arange(10), sizes), [-1, -1]])
    rng = np.random.default_rng(0)
    categories = rng.choice(["Dress", "Hat", "Shoe", "Sock"], len(clusters)).astype(object)
    categories[clusters == 0] = "Dress"  # pure, but too small
    categories[clusters == 4] = "Hat"
    categories[clusters == 6] = "Sock"
    categories[np.flatnonzero(clusters == 6)[0]] = ""
    return clusters, categories


def test_largest_purest_and_random_ones() -> None:
    clusters, categories = shop()
    chosen = choose_clusters(clusters, categories, pictures=5)
    assert [one.why for one in chosen] == ["largest"] * 2 + ["purest"] * 2 + ["random"] * 2
    assert [one.cluster for one in chosen[:4]] == [9, 8, 4, 6]
    assert len({one.cluster for one in chosen}) == 6
    for one in chosen:
        inside = np.flatnonzero(clusters == one.cluster)
        assert one.size == len(inside) and set(one.items) <= set(inside)
        assert len(set(one.items.tolist())) == len(one.items) == min(5, one.size)
        counts = {name: (categories[inside] == name).sum() for name in set(categories[inside])}
        known = {name: count for name, count in counts.items() if name}
        assert known[one.category] == max(known.values())
        assert one.share == max(known.values()) / len(inside)
    assert (chosen[3].category, chosen[3].share) == ("Sock", 15 / 16)
    again = choose_clusters(clusters, categories, pictures=5)
    assert [one.items.tolist() for one in again] == [one.items.tolist() for one in chosen]


def test_without_categories_and_with_few_clusters() -> None:
    clusters, categories = shop()
    chosen = choose_clusters(clusters, np.full(len(categories), "", object))
    assert [one.why for one in chosen] == ["largest"] * 2 + ["random"] * 2
    assert all((one.category, one.share) == ("", 0.0) for one in chosen)
    single = choose_clusters(np.array([7, 3]), np.array(["", "Hat"], object))
    assert [(one.cluster, one.why, one.size) for one in single] == [(3, "largest", 1)]
    assert choose_clusters(np.full(4, -1), np.full(4, "", object)) == []
