"""A small catalogue, rows as ``prepare`` writes them and requests as clients send them."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfrec_vis.data import Impressions
from tfrec_vis.ranking import Ranker, RankerTables, Trainer

ITEMS, WIDTH, HISTORY, ROWS, DAY = 30, 5, 6, 40, 86_400
ITEM_IDS = np.array(["", *(f"0{i:03d}é" for i in range(1, ITEMS + 1))])
USERS = np.array(["ann", "bob", "zoë"])
CONTEXT = {"device": np.array(["", "phone"]), "page_type": np.array(["cart"])}
START = 1_600_000_000

Request = dict[str, np.ndarray]


def tables() -> RankerTables:
    random = np.random.default_rng(0)
    values = np.stack([np.arange(ITEMS + 1), np.arange(ITEMS + 1) % 4], axis=1).astype(np.int32)
    rare = np.arange(ITEMS + 1) % 5 == 0
    ids = np.where(rare, 0, np.cumsum(~rare)).astype(np.int32)
    return RankerTables(
        history=HISTORY,
        item_id=ITEM_IDS,
        attributes=("item_id", "category"),
        values=values,
        buckets=(ids, np.arange(4, dtype=np.int32)),
        rarity=random.uniform(0.5, 3, [ITEMS + 1, 2]).astype(np.float32),
        user_id=USERS,
        context=CONTEXT,
        click_item=random.integers(1, ITEMS + 1, 200),
        click_time=START + random.integers(0, 60 * DAY, 200),
        shown_item=random.integers(1, ITEMS + 1, 400),
        shown_time=START + random.integers(0, 60 * DAY, 400),
    )


def impressions() -> Impressions:
    """Rows as ``prepare`` writes them; item 0 stands for one that is not in the catalogue."""
    random = np.random.default_rng(1)
    item = random.integers(0, ITEMS + 1, ROWS).astype(np.int32)
    item[:2] = 0
    history = np.zeros([ROWS, HISTORY], np.int32)
    for row, clicks in enumerate(random.integers(0, HISTORY + 1, ROWS)):
        others = np.setdiff1d(np.arange(1, ITEMS + 1), item[row])
        history[row, :clicks] = random.permutation(others)[:clicks]
    history[0] = 0
    nothing = np.zeros(ROWS, bool)
    return Impressions(
        user_id=random.choice([*USERS, "nobody"], ROWS).astype(object),
        page_id=np.array(["p"] * ROWS, object),
        item_index=item,
        clicked=random.integers(0, 2, ROWS).astype(np.int32),
        timestamp=START + random.integers(0, 90 * DAY, ROWS),
        history=history,
        in_pretraining=nothing,
        item_seen_in_training=nothing,
        context={
            "device": random.choice(["", "phone", "tv"], ROWS).astype(object),
            "page_type": random.choice(["cart", "home"], ROWS).astype(object),
        },
    )


def as_request(rows: Impressions) -> Request:
    """The rows as a client sends them: with gaps, strangers, repetitions and the target."""
    random = np.random.default_rng(2)
    item_id = np.where(rows.item_index > 0, ITEM_IDS[rows.item_index], "stranger")
    histories = []
    for item, clicks in zip(item_id, rows.history, strict=True):
        sent = [ITEM_IDS[c] for c in clicks if c]
        for place in random.integers(0, len(sent) + 1, 3):
            sent.insert(place, random.choice(["", "unheard-of", item]))
        histories.append([*sent, *random.permutation(sent)[: random.integers(0, 4)]])
    longest = max(map(len, histories))
    return {
        "user_id": rows.user_id.astype(str),
        "item_id": item_id,
        "history_item_id": np.array([h + [""] * (longest - len(h)) for h in histories]),
        "timestamp": rows.timestamp,
        **{name: values.astype(str) for name, values in rows.context.items()},
    }


def tensors(request: Request) -> dict[str, tf.Tensor]:
    """String arrays become string tensors, also empty ones."""
    return {
        n: tf.constant(v, tf.string if v.dtype.kind == "U" else None) for n, v in request.items()
    }


def as_examples(request: Request) -> tf.Tensor:
    def feature(values: np.ndarray) -> tf.train.Feature:
        if values.dtype.kind == "U":
            encoded = [str(v).encode() for v in values.ravel()]
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=encoded))
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values.ravel()))

    serialized = []
    for row in range(len(request["item_id"])):
        features = {name: feature(values[row : row + 1]) for name, values in request.items()}
        # Each record brings a history of its own length.
        clicks = request["history_item_id"][row]
        features["history_item_id"] = feature(clicks[: len(clicks) - row % 3 * (clicks[-2] == "")])
        features = tf.train.Features(feature=features)
        serialized.append(tf.train.Example(features=features).SerializeToString())
    return tf.constant(serialized)


def item_vectors() -> np.ndarray:
    vectors = np.random.default_rng(3).normal(size=[ITEMS + 1, WIDTH])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[[0, 7]] = 0
    return vectors.astype(np.float32)


def item_tables() -> dict[str, np.ndarray]:
    random = np.random.default_rng(7)
    semantic_ids = random.integers(0, 3, [ITEMS + 1, 2])
    semantic_ids[[0, 7]] = -1
    categories = np.arange(ITEMS + 1) % 4
    clusters = np.arange(-1, ITEMS) % 7
    clusters[[0, 7]] = -1
    return {
        "vectors": item_vectors(),
        "clusters": clusters,
        "semantic_ids": semantic_ids,
        "categories": categories,
        "off": categories == 2,
    }


def ranker_and_scores(feature: str, kind: str) -> tuple[Ranker, np.ndarray]:
    """An untrained ranker of lively weights, and the scores that ``evaluate`` computes.

    It is given the cosines there, and computes them here.
    """
    visual = {"clusters": 7, "semantic": (2, 3), "categories": 4}
    vector_dim = WIDTH if "vector" in feature else 0
    trainer = Trainer(tables(), feature, ranker=kind, visual={**visual, "vector_dim": vector_dim})
    trainer.set_item_tables(**item_tables())
    random = np.random.default_rng(5)
    for variable in trainer.model.trainable_variables:
        variable.assign(random.normal(scale=0.25, size=variable.shape))
    inputs = tables().inputs(impressions())
    if "sim" in feature:
        vectors = item_vectors()
        inputs["cosines"] = np.einsum(
            "nd,nld->nl", vectors[inputs["item"]], vectors[inputs["history"]]
        )
    ranker = Ranker(tables(), feature, ranker=kind, visual={**visual, "vector_dim": WIDTH})
    if ranker.visual is not None:
        ranker.visual.set_tables(**item_tables())
    ranker.set_learned(trainer.model.learned())
    return ranker, trainer.predict(inputs)
