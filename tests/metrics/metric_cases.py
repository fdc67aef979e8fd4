"""Small inputs for the metrics, as hypothesis draws them: ties, single classes, weights, groups."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

ROWS = 40
drawn = settings(max_examples=200, deadline=None)

any_score = st.floats(-1e300, 1e300, allow_nan=False)
tied_score = st.sampled_from([-1.0, -0.0, 0.0, 0.5, np.nextafter(0.5, 1), 3.0])
any_probability = st.floats(0, 1)
tied_probability = st.sampled_from([0.0, 0.25, 0.5, np.nextafter(0.5, 1), 1.0])
weight = st.one_of(st.just(0.0), st.floats(1e-3, 1e3))


class Case(NamedTuple):
    labels: np.ndarray  # [n], int
    scores: np.ndarray  # [n], float
    others: np.ndarray  # [n], float: of another model
    weights: np.ndarray  # [n], float
    groups: np.ndarray  # [n], int


@st.composite
def cases(draw: st.DrawFn, probabilities: bool = False) -> Case:
    """0 to 40 rows, of one class or both, scores tied or not."""
    rows = draw(st.integers(0, ROWS))
    kinds = [any_probability, tied_probability] if probabilities else [any_score, tied_score]
    score = draw(st.sampled_from(kinds))
    label = draw(st.sampled_from([st.integers(0, 1), st.just(0), st.just(1)]))

    def column(element: st.SearchStrategy) -> np.ndarray:
        return np.array(draw(st.lists(element, min_size=rows, max_size=rows)))

    return Case(
        column(label).astype(int),
        column(score).astype(float),
        column(score).astype(float),
        column(weight).astype(float),
        column(st.integers(-2, 4)).astype(int),
    )


def has_both(labels: np.ndarray) -> bool:
    return bool(0 < labels.sum() < len(labels))
