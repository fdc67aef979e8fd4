"""Nearest neighbours of an item, or of a photo that is not in the catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from tfrec_vis.data import decode_letterboxed
from tfrec_vis.embeddings.store import Embeddings
from tfrec_vis.errors import InputError
from tfrec_vis.prepare.images import shrink_image
from tfrec_vis.prepare.validate import Reject


def nearest(
    vectors: np.ndarray,
    query: np.ndarray,
    count: int,
    leave_out: int | np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The items with the highest cosine, highest first; of equal ones the first in the table.

    Args:
        vectors: float32 [n, d], L2-normalised.
        query: float32 [d] or, for many at once, [m, d], L2-normalised.
        count: k; where fewer items are there, all of them are given.
        leave_out: row of the query itself; int [m] for many.

    Returns:
        (rows int64 [k], cosines float32 [k]), for many queries [m, k].

    Example:
        >>> import numpy as np
        >>> vectors = np.array([[1, 0], [0, 1], [0.6, 0.8]], np.float32)
        >>> rows, cosines = nearest(vectors, vectors[0], 2, leave_out=0)
        >>> rows.tolist(), cosines.tolist()
        ([2, 1], [0.6000000238418579, 0.0])
    """
    import faiss

    queries = np.ascontiguousarray(np.atleast_2d(query), np.float32)
    left = int(leave_out is not None)
    out = np.broadcast_to(-1 if leave_out is None else leave_out, len(queries))
    most = min(count, len(vectors) - left)
    shape = queries.shape[:1] if query.ndim > 1 else ()
    if most <= 0 or not len(queries):
        return np.empty([*shape, 0], np.int64), np.empty([*shape, 0], np.float32)
    vectors = np.ascontiguousarray(vectors, np.float32)
    _, found = faiss.knn(queries, vectors, most + left, faiss.METRIC_INNER_PRODUCT)
    pairs = [
        _ranked(vectors, one, np.sort(near[near != itself]), most)
        for one, near, itself in zip(queries, found, out, strict=True)
    ]
    rows, scores = (np.stack(part) for part in zip(*pairs, strict=True))
    return (rows, scores) if shape else (rows[0], scores[0])


def _ranked(
    vectors: np.ndarray, query: np.ndarray, rows: np.ndarray, most: int
) -> tuple[np.ndarray, np.ndarray]:
    """The best of ``rows`` by cosines that are the same for the same vector, wherever it is."""
    exact = np.einsum("nd,d->n", vectors[rows].astype(np.float64), query.astype(np.float64))
    scores = exact.astype(np.float32)
    order = np.argsort(-scores, kind="stable")[:most]
    return rows[order], scores[order]


def photo_vector(
    photo: str | Path,
    model: keras.Model,
    embeddings: Embeddings,
    image_size: int,
    prepared: dict[str, Any],
) -> np.ndarray:
    """The embedding of a photo, made the way the catalogue's were: float32 [d].

    Args:
        photo: an image file of a kind that ``prepare`` reads.
        model: the encoder of ``embeddings``, pictures uint8 [n, h, w, 3] -> [n, d].
        embeddings: the catalogue's; its centre is taken off.
        image_size: side of the pictures that the model encodes, pixels.
        prepared: settings of the preparation, from its manifest.

    Raises:
        InputError: the file cannot be read, or is no photo.
    """
    try:
        data = Path(photo).read_bytes()
        jpeg = shrink_image(
            data, prepared["image_size"], prepared["max_pixels"], prepared["jpeg_quality"]
        )
    except OSError as error:
        raise InputError(f"{photo}: cannot be read ({error.strerror})") from error
    except Reject as error:
        raise InputError(f"{photo}: not a usable photo ({error}); give another file") from error
    pictures = decode_letterboxed(jpeg, image_size)[tf.newaxis]
    feature = model(pictures, training=False)[0].numpy().astype(np.float32) - embeddings.centre
    return feature / max(float(np.linalg.norm(feature)), 1e-12)
