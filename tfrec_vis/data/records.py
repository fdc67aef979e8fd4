"""What the three record types of prepared data hold.

Each function gives the ``tf.io.parse_example`` specification of one record type. ``prepare``
writes these columns, the readers read them, the schemas are generated from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import tensorflow as tf

FeatureSpec: TypeAlias = dict[str, "tf.io.FixedLenFeature | tf.io.RaggedFeature"]

ITEM_COLUMNS = ("item_index", "item_id", "image", "title", "category", "first_seen")
IMPRESSION_COLUMNS = (
    "user_id",
    "item_index",
    "clicked",
    "timestamp",
    "page_id",
    "history",
    "in_pretraining",
    "item_seen_in_training",
)
"""Names that declared features may not take."""


def item_record(features: Sequence[str] = ()) -> FeatureSpec:
    """An item: image bytes (JPEG), texts, and the declared text features by their name."""
    return {
        "item_index": _INT,
        "item_id": _TEXT,
        "image": _TEXT,
        "title": _TEXT,
        "category": _TEXT,
        "first_seen": _INT,
        **{name: _TEXT for name in features},
    }


def page_record(embedded: bool = False) -> FeatureSpec:
    """A page view for pre-training: ``shown`` and ``clicked`` have the same length.

    Args:
        embedded: with the pictures (JPEG bytes) that no earlier record of the block has, and
            their items: ``prepare.image_join: embedded``.
    """
    pictures = {"image_item_index": _INTS, "image": _TEXTS} if embedded else {}
    return {
        "user_id": _TEXT,
        "page_id": _TEXT,
        "timestamp": _INT,
        "history": _INTS,
        "shown": _INTS,
        "clicked": _INTS,
        **pictures,
    }


def impression_record(context: Sequence[str] = ()) -> FeatureSpec:
    """One shown item for ranking, with the declared text context features by their name."""
    return {
        "user_id": _TEXT,
        "item_index": _INT,
        "clicked": _INT,
        "timestamp": _INT,
        "page_id": _TEXT,
        "history": _INTS,
        "in_pretraining": _INT,
        "item_seen_in_training": _INT,
        **{name: _TEXT for name in context},
    }


_INT = tf.io.FixedLenFeature([], tf.int64)
_TEXT = tf.io.FixedLenFeature([], tf.string)
_INTS = tf.io.RaggedFeature(tf.int64)
_TEXTS = tf.io.RaggedFeature(tf.string)
