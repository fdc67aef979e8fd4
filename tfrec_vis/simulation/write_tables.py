"""The simulated shop's tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tfrec_vis.simulation.attributes import AttributeNames, Attributes, Ints, look_embedding
from tfrec_vis.simulation.log import Log


def item_name(item: int) -> str:
    """The item's id; ids have leading zeros, as in many shops."""
    return f"{item:06d}"


def write_items(path: Path, titles: list[str], categories: list[str], first_day: Ints) -> None:
    """items.csv: item_id, image, title, category, first_day."""
    names = [item_name(item) for item in range(len(titles))]
    frame = pd.DataFrame(
        {
            "item_id": names,
            "image": [f"{name}.jpg" for name in names],
            "title": titles,
            "category": categories,
            "first_day": first_day,
        }
    )
    frame.to_csv(path, index=False, lineterminator="\n")


def write_log(path: Path, log: Log) -> None:
    """log.csv: user_id, page_id, item_id, timestamp (seconds), position, clicked (0 or 1)."""
    frame = _impressions(log)
    frame["position"] = np.tile(np.arange(log.shown.shape[1]), len(log.user))
    frame["clicked"] = log.clicked.ravel().astype(int)
    frame.to_csv(path, index=False, lineterminator="\n")


def write_truth(paths: Mapping[str, Path], log: Log, attributes: Attributes) -> None:
    """The three tables that no method may see.

    Args:
        paths: of "probabilities" (user_id, page_id, item_id, timestamp, probability),
            "attributes" (item_id and the five attributes by name) and "embedding" (item_id,
            embedding: the click-relevant attributes as a vector of length 1 whose cosine to an
            intention's is the match of the click model).
        log: gives the probabilities.
        attributes: of every item.
    """
    frame = _impressions(log)
    frame["probability"] = log.probability.ravel()
    _write(paths["probabilities"], pa.Table.from_pandas(frame, preserve_index=False))

    names = attributes.names()
    item_ids = pa.array(item_name(item) for item in range(len(names)))
    columns = dict(zip(AttributeNames._fields, zip(*names, strict=True), strict=True))
    _write(paths["attributes"], pa.table({"item_id": item_ids, **columns}))

    vectors = look_embedding()[attributes.look()]
    flat = pa.array(vectors.astype(np.float32).ravel())
    embedding = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    _write(paths["embedding"], pa.table({"item_id": item_ids, "embedding": embedding}))


def _impressions(log: Log) -> pd.DataFrame:
    """One row for each shown item, pages in time order, items by position."""
    shown = log.shown.shape[1]
    users = np.array([f"u{user:05d}" for user in range(int(log.user.max()) + 1)], object)
    pages = np.array([f"p{page:07d}" for page in range(len(log.user))], object)
    items = np.array([item_name(item) for item in range(int(log.shown.max()) + 1)], object)
    return pd.DataFrame(
        {
            "user_id": np.repeat(users[log.user], shown),
            "page_id": np.repeat(pages, shown),
            "item_id": items[log.shown.ravel()],
            "timestamp": np.repeat(log.timestamp, shown),
        }
    )


def _write(path: Path, table: pa.Table) -> None:
    pq.write_table(table.replace_schema_metadata(None), path)
