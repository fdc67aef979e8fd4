"""A toy catalogue, its ranker tables and inputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfrec_vis.ranking import Ranker, RankerTables

ITEMS, USERS, HISTORY, WIDTH, DAY = 20, 5, 4, 6, 86_400
START = 1_600_000_000

Inputs = dict[str, np.ndarray]


def toy_tables(shown: int = 30) -> RankerTables:
    """Twenty items in four categories; ids with an even number share bucket 0."""
    random = np.random.default_rng(3)
    index = np.arange(ITEMS + 1)
    return RankerTables(
        history=HISTORY,
        item_id=np.array(["", *(f"{i:03d}" for i in index[1:])]),
        attributes=("item_id", "category"),
        values=np.stack([index, index % 4], axis=1).astype(np.int32),
        buckets=(
            np.where(index % 2, (index + 1) // 2, 0).astype(np.int32),
            np.arange(4, dtype=np.int32),
        ),
        rarity=random.uniform(0.5, 3, [ITEMS + 1, 2]).astype(np.float32),
        user_id=np.array([f"u{i}" for i in range(USERS)]),
        context={"device": np.array(["app", "web"])},
        click_item=random.integers(1, ITEMS + 1, 50).astype(np.int32),
        click_time=START + random.integers(0, 40 * DAY, 50),
        shown_item=random.integers(1, ITEMS + 1, shown).astype(np.int32),
        shown_time=START + random.integers(0, 40 * DAY, shown),
    )


def toy_vectors() -> np.ndarray:
    """Unit vectors of the items; row 0 is zeros."""
    vectors = np.random.default_rng(4).normal(size=[ITEMS + 1, WIDTH]).astype(np.float32)
    vectors[0] = 0
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def toy_visual() -> dict[str, Any]:
    """Arguments of ``VisualFeatures`` for all features."""
    return {"vector_dim": WIDTH, "clusters": 3, "semantic": (2, 4)}


def toy_item_tables() -> dict[str, np.ndarray]:
    """Tables of ``VisualFeatures.set_tables``; item 5 has no picture."""
    random = np.random.default_rng(6)
    semantic = random.integers(0, 4, [ITEMS + 1, 2])
    tables = {"vectors": toy_vectors(), "clusters": np.arange(-1, ITEMS) % 4 - 1}
    tables["clusters"][0] = semantic[[0, 5]] = -1
    tables["vectors"][5] = 0
    return {**tables, "semantic_ids": semantic}


def toy_inputs(rows: int, seed: int = 0) -> Inputs:
    """Random rows; the shorter histories are padded, the first is empty."""
    random = np.random.default_rng(seed)
    history = random.integers(1, ITEMS + 1, [rows, HISTORY]).astype(np.int32)
    clicks = random.integers(0, HISTORY + 1, rows)
    clicks[:1] = 0
    history[np.arange(HISTORY) >= clicks[:, None]] = 0
    return {
        "user": random.integers(0, USERS + 1, rows).astype(np.int32),
        "item": random.integers(1, ITEMS + 1, rows).astype(np.int32),
        "history": history,
        "timestamp": START + random.integers(0, 60 * DAY, rows),
        "context_device": random.integers(0, 3, rows).astype(np.int32),
    }


def toy_ranker(feature: str = "none", ranker: str = "din", **visual: Any) -> Ranker:
    """A ranker over the toy tables, items' vectors and so on in it."""
    model = Ranker(toy_tables(), feature, ranker=ranker, visual={**toy_visual(), **visual})
    if model.visual is not None:
        model.visual.set_tables(**toy_item_tables())
    return model


def moved(model: Ranker) -> Ranker:
    """The model with large random weights, so that every input matters."""
    random = np.random.default_rng(7)
    for variable in model.trainable_variables:
        variable.assign(random.normal(scale=0.2, size=variable.shape))
    return model
