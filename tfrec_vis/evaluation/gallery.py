"""The pictures that a report shows."""

from __future__ import annotations

from dataclasses import dataclass

from tfrec_vis.evaluation.thumbnails import Sprite


@dataclass(frozen=True)
class Picture:
    """One product.

    Args:
        item_id: the id, as text.
        title: what to write beneath; may be empty.
        jpeg: the picture as JPEG bytes; empty for none.
    """

    item_id: str
    title: str
    jpeg: bytes


@dataclass(frozen=True)
class Neighbours:
    """A product and those nearest to it.

    Args:
        query: the product.
        nearest: the others with their cosine to it, nearest first.
    """

    query: Picture
    nearest: tuple[tuple[Picture, float], ...]


@dataclass(frozen=True)
class AttentionExample:
    """What the encoder's reconstruction looks at when a user meets a product.

    Args:
        history: the user's clicks, newest first, with their attention weights (sum 1).
        target: the product shown.
        clicked: whether the user clicked it.
    """

    history: tuple[tuple[Picture, float], ...]
    target: Picture
    clicked: bool


@dataclass(frozen=True)
class ClusterExample:
    """Some products of one cluster.

    Args:
        cluster: its number.
        why: "largest", "purest" or "random": how it was chosen.
        size: how many products it has.
        category: the category that most of them have; empty where categories are unknown.
        share: part of the cluster's products that have it, 0 to 1.
        pictures: some of the products, drawn at random.
    """

    cluster: int
    why: str
    size: int
    category: str
    share: float
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class MapPoint:
    """A product on the map.

    Args:
        x, y: its place, 0 to 1, from the left and from the top.
        cluster: its cluster's number; -1 for none.
        caption: what to write about it.
    """

    x: float
    y: float
    cluster: int
    caption: str


@dataclass(frozen=True)
class EmbeddingMap:
    """Products in the plane, alike ones near each other.

    Args:
        points: the products, in the order of the sprite's squares.
        sprite: their pictures.
        method: "t-SNE" or "PCA".
        places: how many products fit beside each other along a side.
    """

    points: tuple[MapPoint, ...]
    sprite: Sprite
    method: str
    places: int


@dataclass(frozen=True)
class Failure:
    """A test row that the primary model was far off on.

    Args:
        target: the product shown.
        history: the user's clicks before, newest first.
        clicked: whether the user clicked the product.
        score: the predicted click probability, mean over the runs.
        loss: -log of the probability given to what happened.
    """

    target: Picture
    history: tuple[Picture, ...]
    clicked: bool
    score: float
    loss: float


@dataclass(frozen=True)
class Gallery:
    """Everything pictured, from one embedding.

    Args:
        neighbours: products with their nearest neighbours.
        attention: histories with attention weights.
        embedding: name of the embedding that the pictures show.
        clusters: some clusters.
        map: products in the plane.
        failures: rows with the largest losses of the primary model.
    """

    neighbours: tuple[Neighbours, ...]
    attention: tuple[AttentionExample, ...]
    embedding: str
    clusters: tuple[ClusterExample, ...] = ()
    map: EmbeddingMap | None = None
    failures: tuple[Failure, ...] = ()
