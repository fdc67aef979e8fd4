"""What the simulated items look like, and how well two looks match."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

SHAPES = ("circle", "square", "triangle", "star", "heart", "cross", "ring", "crescent")
COLOURS = ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink")
HUES = (0, 28, 54, 115, 178, 218, 272, 322)
"""Degrees on the colour circle, one for each of ``COLOURS``, which follow it round."""
PATTERNS = ("plain", "stripes", "checks", "dots", "zigzag")
TEXTURES = ("smooth", "grain", "weave", "gloss")
BACKGROUNDS = ("studio", "gradient", "room", "blurred")
_NAMES = (SHAPES, COLOURS, PATTERNS, TEXTURES, BACKGROUNDS)

WEIGHTS = {"shape": 0.4, "colour": 0.35, "pattern": 0.25}
"""Share of each click-relevant attribute in a match; they sum to 1."""
NEIGHBOUR_COLOUR = 0.5
"""How well two colours that are neighbours on the circle match."""

Ints = npt.NDArray[np.int64]


class AttributeNames(NamedTuple):
    """The attributes of one item, by name."""

    shape: str
    colour: str
    pattern: str
    texture: str
    background: str


@dataclass(frozen=True)
class Attributes:
    """Codes of the attributes of n items, int64 [n] each; the last two decide nothing."""

    shape: Ints
    colour: Ints
    pattern: Ints
    texture: Ints
    background: Ints

    def names(self) -> list[AttributeNames]:
        """The attributes of every item by name."""
        codes = (self.shape, self.colour, self.pattern, self.texture, self.background)
        return [
            AttributeNames(*(names[code] for names, code in zip(_NAMES, item, strict=True)))
            for item in zip(*codes, strict=True)
        ]

    def look(self) -> Ints:
        """The code in [0, look_count()) of every item's click-relevant attributes."""
        return (self.shape * len(COLOURS) + self.colour) * len(PATTERNS) + self.pattern


def draw_attributes(items: int, rng: np.random.Generator) -> Attributes:
    """Independent uniform attributes for ``items`` items."""
    return Attributes(*(rng.integers(len(names), size=items) for names in _NAMES))


def look_count() -> int:
    """The number of combinations of the click-relevant attributes."""
    return len(SHAPES) * len(COLOURS) * len(PATTERNS)


def look_embedding() -> npt.NDArray[np.float64]:
    """Every look as a vector whose inner products are the matches.

    match(a, b) = 0.4 [shapes equal] + 0.35 colour(a, b) + 0.25 [patterns equal], where
    colour is 1 for equal colours, 0.5 for neighbours on the circle, else 0. That kernel is
    positive semi-definite (its eigenvalues are 1 + cos(2 pi k / 8)), so its square root
    gives vectors of length 1.

    Returns:
        float64 [look_count(), d], rows of length 1.
    """
    n = len(COLOURS)
    distance = np.abs(np.arange(n)[:, None] - np.arange(n)[None])
    distance = np.minimum(distance, n - distance)
    kernel = np.select([distance == 0, distance == 1], [1.0, NEIGHBOUR_COLOUR], 0.0)
    values, vectors = np.linalg.eigh(kernel)
    colour = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    parts = {"shape": np.eye(len(SHAPES)), "colour": colour, "pattern": np.eye(len(PATTERNS))}
    codes = np.unravel_index(np.arange(look_count()), (len(SHAPES), n, len(PATTERNS)))
    columns = [
        np.sqrt(WEIGHTS[name]) * part[code]
        for (name, part), code in zip(parts.items(), codes, strict=True)
    ]
    return np.concatenate(columns, axis=1)
