"""What a ranker learned, apart from the tables it travels with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ranking_cases import (
    ITEMS,
    moved,
    toy_inputs,
    toy_item_tables,
    toy_ranker,
    toy_tables,
    toy_visual,
)

from tfrec_vis.ranking import Ranker

ALL = "vector+sim_score+cluster_id+sim_tier+semantic_id"
TABLES = {"values", "rarity", "rows"}
CATEGORIES = np.arange(ITEMS + 1) % 3


def gated() -> Ranker:
    model = moved(toy_ranker(ALL, categories=3))
    model.visual.set_tables(categories=CATEGORIES)
    model.standardize.mean.assign_add(np.ones(model.standardize.width))
    return model


def test_learned_are_all_variables_but_the_tables() -> None:
    model = gated()
    tables = [getattr(model, name) for name in TABLES] + [model.clicks.keys, model.shown.keys]
    tables += [*model.visual.tables.values(), *(g.on for g in model.visual.gate_layers.values())]
    known = {v.ref() for v in tables}
    paths = model.get_weight_paths()
    assert len(known) == len(tables) and known < {v.ref() for v in paths.values()}
    learned = {name for name, variable in paths.items() if variable.ref() not in known}
    metrics = {name for name in learned if name not in model.learned()}
    assert set(model.learned()) == learned - metrics
    assert all("task" in name or "loss" in name for name in metrics), metrics


def grown(visual_items: dict[str, Any], categories: int) -> Ranker:
    """The toy catalogue with two more items: number 21 of a new value, 22 like item 2."""
    tables = toy_tables()
    rows = [2, 2]
    values = np.concatenate([tables.values, [[21, 4], [22, tables.values[2, 1]]]])
    more = replace(
        tables,
        item_id=np.append(tables.item_id, ["021", "022"]),
        values=values.astype(np.int32),
        buckets=tuple(
            np.append(each, [0] * n).astype(np.int32)
            for each, n in zip(tables.buckets, (2, 1), strict=True)
        ),
        rarity=np.concatenate([tables.rarity, tables.rarity[rows]]),
    )
    model = Ranker(more, ALL, visual={**toy_visual(), "categories": categories})
    model.visual.set_tables(**visual_items)
    return model


def more_items(categories: list[int]) -> dict[str, np.ndarray]:
    tables = {**toy_item_tables(), "categories": CATEGORIES}
    more = {name: np.concatenate([table, table[[2, 2]]]) for name, table in tables.items()}
    more["categories"][-2:] = categories
    return more


def test_learned_weights_fit_a_larger_catalogue_and_give_the_same_scores() -> None:
    small, large = gated(), grown(more_items([0, 2]), 3)
    large.set_grown(small.learned())
    inputs = toy_inputs(40)
    np.testing.assert_allclose(large(inputs), small(inputs), atol=1e-6)
    for name, value in small.learned().items():
        np.testing.assert_array_equal(large.learned()[name], value)


def test_a_new_category_has_the_mean_of_the_trained_gates() -> None:
    small, large = gated(), grown(more_items([3, 4]), 5)
    large.set_grown(small.learned())
    inputs = toy_inputs(40)
    np.testing.assert_allclose(large(inputs), small(inputs), atol=1e-6)
    for feature, layer in small.visual.gate_layers.items():
        gate = large.visual.gate_layers[feature].gate.numpy()
        np.testing.assert_array_equal(gate[:3], layer.gate.numpy())
        np.testing.assert_allclose(gate[3:], layer.gate.numpy().mean(), rtol=1e-6)


def test_weights_of_more_categories_or_another_ranker_are_refused() -> None:
    model = gated()
    weights = model.learned()
    for other in (
        {**weights, "more": np.zeros(1)},
        {n: v for n, v in weights.items() if "user" not in n},
    ):
        with pytest.raises(ValueError, match="weights of this ranker"):
            model.set_grown(other)
    large = grown(more_items([3, 4]), 5)
    with pytest.raises(ValueError):
        model.set_grown(large.learned())
