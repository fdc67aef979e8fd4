"""Chooses the pictures of a report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

from tfrec_vis.data import (
    Items,
    decode_letterboxed,
    read_impressions,
    read_items,
    read_manifest,
)
from tfrec_vis.data.items import read_pictures
from tfrec_vis.evaluation.gallery import AttentionExample, Gallery, Neighbours, Picture
from tfrec_vis.layers import gather_positions
from tfrec_vis.pretraining import Courier

_QUERIES, _NEAREST, _EXAMPLES = 10, 5, 3


def choose_pictures(
    prepared: str | Path,
    vectors: np.ndarray,
    model: Courier,
    image_size: int | None,
    embedding: str = "courier",
) -> Gallery:
    """Ten products with their nearest neighbours, and histories with their attention weights.

    The products are drawn at random among those clicked in the test rows, the histories among
    clicked test rows with a full history (seeded; nothing is picked by hand).

    Args:
        prepared: folder that ``prepare`` wrote.
        vectors: float32 [items + 1, d], L2-normalised.
        model: the pre-trained model, for its attention.
        image_size: side of the pictures that it encodes; None: as prepared.
        embedding: the vectors' name.
    """
    manifest = read_manifest(prepared)
    catalogue = read_items(prepared, pictures=False)
    clicks = manifest["settings"]["page_history"]
    test = read_impressions(prepared, "test", clicks)
    random = np.random.default_rng(0)
    clicked = test.clicked == 1

    candidates = np.unique(test.item_index[clicked])
    queries = random.permutation(candidates)[:_QUERIES]
    near = []
    for query in queries:
        scores = vectors @ vectors[query]
        scores[[0, query]] = -np.inf
        nearest = np.argsort(-scores, kind="stable")[:_NEAREST]
        near.append((query, nearest, scores[nearest]))
    full = np.flatnonzero(clicked & (test.history[:, -1] > 0))
    rows = random.permutation(full)[:_EXAMPLES]

    shown = [queries, *(nearest for _, nearest, _ in near)]
    wanted = np.unique(np.concatenate([*shown, test.history[rows].ravel(), test.item_index[rows]]))
    catalogue.image[wanted] = read_pictures(prepared, wanted)
    neighbours = [
        Neighbours(
            _picture(catalogue, query),
            tuple(
                (_picture(catalogue, i), float(s)) for i, s in zip(nearest, cosines, strict=True)
            ),
        )
        for query, nearest, cosines in near
    ]
    size = image_size or manifest["settings"]["image_size"]
    examples = [
        _attention(model, catalogue, test.history[row], int(test.item_index[row]), size)
        for row in rows
    ]
    return Gallery(tuple(neighbours), tuple(examples), embedding)


def _attention(
    model: Courier, catalogue: Items, history: np.ndarray, target: int, image_size: int
) -> AttentionExample:
    shown = np.append(history, target)
    images = tf.stack([decode_letterboxed(one, image_size) for one in catalogue.image[shown]])
    embeddings = model(images, training=False)
    positions = np.arange(len(history))[None]
    _, scores = model.reconstruction(
        gather_positions(embeddings, np.array([[len(history)]])),
        gather_positions(embeddings, positions),
        tf.constant(positions >= 0),
        return_attention_scores=True,
    )
    weights = np.asarray(scores)[0].mean(axis=0)[0]
    return AttentionExample(
        tuple(
            (_picture(catalogue, item), float(weight))
            for item, weight in zip(history, weights, strict=True)
        ),
        _picture(catalogue, target),
        True,
    )


def _picture(catalogue: Items, item: int) -> Picture:
    return Picture(catalogue.item_id[item], catalogue.title[item], catalogue.image[item])
