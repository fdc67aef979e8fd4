"""A request of 100 rows to an exported ranker, warm, by ``tf.saved_model.load``."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import tensorflow as tf
from bench_ranker import ITEMS, USERS, _rows

from tfrec_vis.ranking import Ranker
from tfrec_vis.serving import export_ranker

ROWS, HISTORY, WIDTH, CLUSTERS, CATEGORIES = 100, 50, 256, 500, 20
WARM, CALLS, BOUND = 50, 1000, 10.0
FEATURES = ("sim_score", "vector+sim_score+cluster_id+sim_tier")


def rows() -> list[dict]:
    """Return what, target, measured and holds of every figure."""
    return [_case(feature) for feature in FEATURES]


def _case(feature: str) -> dict:
    tables, _, _ = _rows(HISTORY)
    names = np.array([f"{i:010d}" for i in range(ITEMS + 1)])
    names[0] = ""
    tables = replace(tables, item_id=names, user_id=np.arange(USERS).astype(str))
    visual = {"vector_dim": WIDTH, "clusters": CLUSTERS, "categories": CATEGORIES}
    random = np.random.default_rng(0)
    ranker = Ranker(tables, feature, visual=visual)
    assert ranker.visual is not None
    vectors = random.normal(size=[ITEMS + 1, WIDTH]).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[0] = 0
    clusters = random.integers(0, CLUSTERS, ITEMS + 1)
    categories = random.integers(0, CATEGORIES, ITEMS + 1)
    ranker.visual.set_tables(vectors=vectors, clusters=clusters, categories=categories)
    with tempfile.TemporaryDirectory() as folder:
        export_ranker(ranker, tables, Path(folder))
        call = tf.saved_model.load(folder).signatures["serving_default"]
    requests = [
        {
            "user_id": tf.constant(random.integers(0, USERS, ROWS).astype(str)),
            "item_id": tf.constant(names[random.integers(1, ITEMS + 1, ROWS)]),
            "history_item_id": tf.constant(names[random.integers(1, ITEMS + 1, [ROWS, HISTORY])]),
            "timestamp": tf.constant(random.integers(10**8, 2 * 10**8, ROWS)),
        }
        for _ in range(16)
    ]
    taken, used = [], 0.0
    for i in range(WARM + CALLS):
        if i == WARM:
            used = time.process_time()
        started = time.perf_counter()
        call(**requests[i % len(requests)])["ctr"].numpy()
        taken.append(1e3 * (time.perf_counter() - started))
    used = 1e3 * (time.process_time() - used) / CALLS
    p50, p99 = np.percentile(taken[WARM:], [50, 99])
    return {
        "what": f"exported ranker (DIN, {feature}), {ROWS} rows with {HISTORY} clicks each, warm",
        "target": f"p99 < {BOUND:.0f} ms",
        "measured": f"p99 {p99:.1f} ms, p50 {p50:.1f} ms, of processors {used:.1f} ms a call; "
        f"{CALLS} calls in a row",
        "holds": bool(p99 < BOUND),
    }
