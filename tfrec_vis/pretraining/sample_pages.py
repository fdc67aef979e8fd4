"""A few pages to look at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

from tfrec_vis.data import decode_letterboxed, read_pages
from tfrec_vis.data.items import read_pictures


def sample_pages(
    prepared: str | Path, image_size: int, count: int, since: int | None = None
) -> dict[str, np.ndarray]:
    """Pages with long histories and a click, as a batch of ``data.pages``, without texts.

    Args:
        prepared: folder that ``prepare`` wrote.
        image_size: side of the pictures, pixels.
        count: pages, at most.
        since: only pages with this timestamp or a later one.
    """
    table = read_pages(prepared)
    clicks = (table.history > 0).sum(axis=1)
    usable = (table.clicked == 1).any(axis=1) & (clicks > 0)
    if since is not None:
        usable &= table.timestamp >= since
    rows = np.flatnonzero(usable)
    rows = rows[np.argsort(-clicks[rows], kind="stable")][:count]
    history, shown = table.history[rows], table.shown[rows]
    items = np.unique(np.concatenate([history.ravel(), shown.ravel()]))
    items = items[items > 0]
    pictures = [decode_letterboxed(jpeg, image_size) for jpeg in read_pictures(prepared, items)]

    def position(index: np.ndarray) -> np.ndarray:
        return np.where(index > 0, np.searchsorted(items, index), -1)

    return {
        "image": np.array(tf.stack(pictures))
        if pictures
        else np.zeros([0, image_size, image_size, 3], np.uint8),
        "item_index": items,
        "history": position(history),
        "shown": position(shown),
        "history_item_index": history,
        "shown_item_index": shown,
        "clicked": table.clicked[rows],
    }
