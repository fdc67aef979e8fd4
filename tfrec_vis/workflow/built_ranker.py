"""A trained ranker with all that it is served with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from tfrec_vis.data import read_items
from tfrec_vis.evaluation import Vectors
from tfrec_vis.ranking import Ranker, parse_features
from tfrec_vis.serving import RankerState


def build_ranker(state: RankerState, vectors: Vectors, prepared: Path) -> Ranker:
    """The ranker of some weights and tables, with vectors to compute cosines from.

    Args:
        state: weights, tables and settings.
        vectors: of all items that the tables know.
        prepared: the prepared data that they are of.
    """
    category = read_items(prepared, pictures=False).category.astype(str)
    vectors = vectors.without(np.isin(category, state.images_off))
    visual = vectors.arguments(parse_features(state.feature), with_cosines=False)
    # "No item" is of a category of its own, the last, whose gate is the mean of the trained ones.
    unknown = len(state.categories)
    visual["categories"] = unknown and unknown + 1
    ranker = Ranker(state.tables, state.feature, ranker=state.ranker, visual=visual)
    if ranker.visual is not None:
        number = {name: i for i, name in enumerate(state.categories)}
        numbers = [unknown, *(number.get(name, unknown) for name in category[1:])]
        ranker.visual.set_tables(**vectors.tables, categories=np.array(numbers))
    ranker.set_grown(state.learned)
    return ranker


def grown(state: RankerState, prepared: Path) -> RankerState:
    """The same weights with tables of data to which something was added.

    Args:
        state: of a published ranker.
        prepared: the data after ``prepare --append``.

    Raises:
        InputError: its first items are not those of the tables.
    """
    categories = state.categories
    if len(categories):
        there = read_items(prepared, pictures=False).category[1:].astype(str)
        categories = np.append(categories, np.setdiff1d(there, categories))
    return replace(state, tables=state.tables.grow(prepared), categories=categories)
