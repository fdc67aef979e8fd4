"""A toy catalogue, its ranker tables and inputs."""

from __future__ import annotations

import numpy as np

from tfrec_vis.ranking import FEATURES, RankerTables

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


def toy_inputs(rows: int, feature: str = "none", seed: int = 0) -> Inputs:
    """Random rows; the shorter histories are padded, the first is empty."""
    random = np.random.default_rng(seed)
    history = random.integers(1, ITEMS + 1, [rows, HISTORY]).astype(np.int32)
    clicks = random.integers(0, HISTORY + 1, rows)
    clicks[0] = 0
    history[np.arange(HISTORY) >= clicks[:, None]] = 0
    inputs = {
        "user": random.integers(0, USERS + 1, rows).astype(np.int32),
        "item": random.integers(1, ITEMS + 1, rows).astype(np.int32),
        "history": history,
        "timestamp": START + random.integers(0, 60 * DAY, rows),
        "context_device": random.integers(0, 3, rows).astype(np.int32),
    }
    if feature == "sim_score":
        inputs["sim_score"] = random.normal(size=[rows, HISTORY + 3]).astype(np.float32)
    return inputs


def tables_for(feature: str) -> RankerTables:
    """The toy tables, with cluster ids where the feature needs them."""
    assert feature in FEATURES
    clusters = np.append(-1, np.arange(ITEMS) % 3)
    tables = toy_tables()
    return tables.with_clusters(clusters, 3) if feature == "cluster_id" else tables
