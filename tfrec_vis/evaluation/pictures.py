"""Chooses the pictures of a report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfrec_vis.data import (
    Impressions,
    Items,
    decode_letterboxed,
    read_impressions,
    read_items,
    read_manifest,
)
from tfrec_vis.data.items import read_pictures
from tfrec_vis.evaluation.chosen_clusters import ChosenCluster, choose_clusters
from tfrec_vis.evaluation.embedding_map import map_positions, sample_items, spread_on_grid
from tfrec_vis.evaluation.gallery import (
    AttentionExample,
    ClusterExample,
    EmbeddingMap,
    Failure,
    Gallery,
    MapPoint,
    Neighbours,
    Picture,
)
from tfrec_vis.evaluation.thumbnails import make_sprite, thumbnail
from tfrec_vis.evaluation.worst_rows import mean_scores, worst_rows
from tfrec_vis.layers import gather_positions
from tfrec_vis.pretraining import Courier
from tfrec_vis.pretraining.model import PretrainingModel

_QUERIES, _NEAREST, _EXAMPLES = 10, 5, 3
_CLICKS = 10
"""Clicks shown at most beside a row that the model was off on."""
_SPARE = 1.8
"""Places of the map for each product: so much of it stays empty that its shape is seen."""


def choose_pictures(
    prepared: str | Path,
    vectors: np.ndarray,
    model: PretrainingModel,
    image_size: int | None,
    embedding: str = "courier",
    clusters: np.ndarray | None = None,
    predictions: str | Path | None = None,
    primary: Mapping[str, str] | None = None,
) -> Gallery:
    """Chooses what a report shows, and reads the pictures of that alone.

    Ten products with their nearest neighbours, drawn at random among those clicked in the test
    rows; histories with their attention weights, drawn among clicked test rows with a full
    history; a map of some hundred products; the largest, the purest and some random clusters;
    and the test rows with the largest losses. Everything is seeded, nothing is picked by hand.

    Args:
        prepared: folder that ``prepare`` wrote.
        vectors: float32 [items + 1, d], L2-normalised.
        model: the pre-trained model, for its attention; one that is not ``Courier`` has none.
        image_size: side of the pictures that it encodes; None: as prepared.
        embedding: the vectors' name.
        clusters: int [items + 1], -1 for none; None: no clusters are shown.
        predictions: predictions.parquet; None: no losses are shown.
        primary: the report's ``primary``, whose scores count.
    """
    manifest = read_manifest(prepared)
    catalogue = read_items(prepared, pictures=False)
    test = read_impressions(prepared, "test", manifest["settings"]["page_history"])
    random = np.random.default_rng(0)
    clicked = test.clicked == 1

    queries = random.permutation(np.unique(test.item_index[clicked]))[:_QUERIES]
    near = [(query, *_nearest(vectors, query)) for query in queries]
    full = np.flatnonzero(clicked & (test.history[:, -1] > 0))
    attended = random.permutation(full)[: _EXAMPLES if isinstance(model, Courier) else 0]
    mapped = sample_items(vectors, clusters)
    chosen = [] if clusters is None else choose_clusters(clusters, catalogue.category)
    scores = mean_scores(predictions, primary) if predictions and primary else None
    worst = [] if scores is None else worst_rows(test, scores)

    off = np.array([row for row, _ in worst], np.int64)
    shown = [queries, mapped, test.item_index[attended], test.item_index[off]]
    shown += [test.history[attended].ravel(), test.history[off, :_CLICKS].ravel()]
    shown += [nearest for _, nearest, _ in near] + [cluster.items for cluster in chosen]
    wanted = np.unique(np.concatenate(shown))
    wanted = wanted[wanted > 0]
    catalogue.image[wanted] = read_pictures(prepared, wanted)
    size = image_size or manifest["settings"]["image_size"]
    return Gallery(
        neighbours=tuple(
            Neighbours(
                _picture(catalogue, query),
                tuple((_picture(catalogue, i), s) for i, s in zip(items, cosines, strict=True)),
            )
            for query, items, cosines in near
        ),
        attention=tuple(
            _attention(model, catalogue, test.history[row], int(test.item_index[row]), size)
            for row in attended
            if isinstance(model, Courier)
        ),
        embedding=embedding,
        clusters=tuple(_cluster(catalogue, cluster) for cluster in chosen),
        map=_map(catalogue, vectors, clusters, mapped) if len(mapped) else None,
        failures=()
        if scores is None
        else tuple(_failure(catalogue, test, row, float(scores[row]), loss) for row, loss in worst),
    )


def _nearest(vectors: np.ndarray, query: int) -> tuple[np.ndarray, list[float]]:
    scores = vectors @ vectors[query]
    scores[[0, query]] = -np.inf
    nearest = np.argsort(-scores, kind="stable")[:_NEAREST]
    return nearest, [float(score) for score in scores[nearest]]


def _map(
    catalogue: Items, vectors: np.ndarray, clusters: np.ndarray | None, items: np.ndarray
) -> EmbeddingMap:
    positions, method = map_positions(vectors[items])
    places = int(np.ceil(np.sqrt(_SPARE * len(items))))
    points = tuple(
        MapPoint(
            float(x),
            float(y),
            -1 if clusters is None else int(clusters[item]),
            " · ".join(filter(None, (_name(catalogue, item), catalogue.category[item]))),
        )
        for item, (x, y) in zip(items, spread_on_grid(positions, places), strict=True)
    )
    return EmbeddingMap(points, make_sprite(list(catalogue.image[items])), method, places)


def _cluster(catalogue: Items, chosen: ChosenCluster) -> ClusterExample:
    return ClusterExample(
        chosen.cluster,
        chosen.why,
        chosen.size,
        chosen.category,
        chosen.share,
        tuple(_picture(catalogue, item) for item in chosen.items),
    )


def _failure(catalogue: Items, test: Impressions, row: int, score: float, loss: float) -> Failure:
    return Failure(
        _picture(catalogue, test.item_index[row]),
        tuple(_picture(catalogue, item) for item in test.history[row, :_CLICKS] if item > 0),
        bool(test.clicked[row]),
        score,
        loss,
    )


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


def _name(catalogue: Items, item: int) -> str:
    return catalogue.title[item] or catalogue.item_id[item]


def _picture(catalogue: Items, item: int) -> Picture:
    return Picture(catalogue.item_id[item], catalogue.title[item], thumbnail(catalogue.image[item]))
