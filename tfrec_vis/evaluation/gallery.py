"""The pictures that a report shows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Picture:
    """One product.

    Args:
        item_id: the id, as text.
        title: what to write beneath; may be empty.
        jpeg: the picture as JPEG bytes.
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
class Gallery:
    """Everything pictured, from one embedding.

    Args:
        neighbours: products with their nearest neighbours.
        attention: histories with attention weights.
        embedding: name of the embedding that the pictures show.
    """

    neighbours: tuple[Neighbours, ...]
    attention: tuple[AttentionExample, ...]
    embedding: str
