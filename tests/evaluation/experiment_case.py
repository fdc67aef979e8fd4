"""A small experiment on the simulated shop: its settings, embeddings and what it trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tfrec_vis.data import read_items
from tfrec_vis.embeddings import EmbedSettings, embed_features, read_external
from tfrec_vis.evaluation import EvaluateSettings, Vectors

SEEDS = 2
PROTOCOLS = ("scratch", "warm_start")
CELLS = [
    ("none", "none", 0),
    ("courier", "sim_score", 11),
    ("courier", "sim_score", 12),
    ("random", "sim_score", 0),
    ("truth", "sim_score", 0),
]
"""Embedding, feature and the pre-training's seed."""


def column(row: dict[str, Any]) -> str:
    names = ("embedding", "feature", "ranker", "protocol", "pretrain_seed", "seed")
    return "/".join(str(row[name]) for name in names)


def settings(shop: Path) -> EvaluateSettings:
    return EvaluateSettings(
        features=("none", "sim_score"),
        seeds=SEEDS,
        train_on="all",
        gates=True,
        epochs=1,
        history=6,
        min_count=2,
        batch_size=256,
        replicates=200,
        truth=str(shop / "truth"),
    )


def embeddings(shop: Path, prepared: Path) -> list[Vectors]:
    """Random vectors of two pre-trainings and of none, and the true attributes."""
    items = read_items(prepared).item_id[1:]
    random = np.random.default_rng(0).normal(size=[3, len(items), 8]).astype(np.float32)
    known, vectors = read_external(shop / "truth/embedding.parquet")
    truth = vectors[[list(known).index(item) for item in items]]
    made = []
    for name, role, features, pretrain_seed in (
        ("courier", "courier", random[0], 11),
        ("courier", "courier", random[1], 12),
        ("random", "baseline", random[2], 0),
        ("truth", "oracle", truth, 0),
    ):
        stored = embed_features(features, prepared, EmbedSettings(clusters=5), name)
        ids = read_items(prepared).item_id
        vectors, clusters = stored.vectors_for(ids), stored.clusters_for(ids)
        made.append(Vectors(name, role, vectors, clusters, 5, pretrain_seed=pretrain_seed))
    return made


def calibration_curve(clicked: pd.Series, scores: pd.Series, bins: pd.DataFrame) -> np.ndarray:
    """Mean score and click rate of each bin of the sorted rows: [bins, 2]."""
    rate = clicked.groupby(scores).transform("mean")
    order = np.argsort(scores.to_numpy(), kind="stable")
    parts = np.split(order, np.cumsum(bins["count"])[:-1])
    return np.array([[scores.iloc[p].mean(), rate.iloc[p].mean()] for p in parts])
