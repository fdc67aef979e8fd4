"""Titles and categories, which say nothing about the look."""

from __future__ import annotations

import numpy as np

_BRANDS = (
    "Alder", "Birchway", "Corvane", "Dunmoor", "Elstrand", "Fennick",
    "Galloway", "Harrow", "Islay", "Juniper", "Kestrel", "Lomond",
)  # fmt: skip
_MODELS = (
    "Aster", "Basalt", "Cedar", "Delta", "Ember", "Fjord", "Grove", "Harbour", "Iris", "Jetty",
    "Kelp", "Larch", "Meadow", "Nimbus", "Opal", "Prairie", "Quarry", "Ridge", "Sable", "Tundra",
)  # fmt: skip


def draw_texts(items: int, rng: np.random.Generator) -> tuple[list[str], list[str]]:
    """Titles ("Alder Fjord 214") and categories (the brand), independent of everything else.

    Returns:
        Titles and categories, ``items`` texts each.
    """
    brand = rng.integers(len(_BRANDS), size=items)
    model = rng.integers(len(_MODELS), size=items)
    number = rng.integers(100, 1000, size=items)
    titles = [
        f"{_BRANDS[b]} {_MODELS[m]} {n}" for b, m, n in zip(brand, model, number, strict=True)
    ]
    return titles, [_BRANDS[b] for b in brand]
