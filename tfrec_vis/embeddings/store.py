"""The embedding store: one vector and one cluster id per item."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfrec_vis.embeddings.external import read_external

_PARQUET = "embeddings.parquet"


@dataclass(frozen=True)
class Embeddings:
    """Embeddings of a catalogue.

    Attributes:
        item_id: str object [n].
        embedding: float32 [n, d], L2-normalised.
        cluster_id: int32 [n], the nearest centroid.
        centroids: float32 [clusters, d].
        centre: float32 [d], what was taken off the features before normalising (zeros: none).
        metadata: encoder fingerprint, data manifest hash, mean pairwise cosine, effective rank.
    """

    item_id: np.ndarray
    embedding: np.ndarray
    cluster_id: np.ndarray
    centroids: np.ndarray
    centre: np.ndarray
    metadata: dict[str, Any]

    def write(self, folder: str | Path) -> None:
        """Writes embeddings.parquet, centroids.npy, centre.npy and metadata.json."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        width = self.embedding.shape[1]
        flat = pa.array(self.embedding.astype(np.float32).ravel(), pa.float32())
        table = pa.table(
            {
                "item_id": pa.array(list(self.item_id), pa.string()),
                "embedding": pa.FixedSizeListArray.from_arrays(flat, width),
                "cluster_id": pa.array(self.cluster_id, pa.int32()),
            }
        )
        pq.write_table(table, folder / _PARQUET)
        np.save(folder / "centroids.npy", self.centroids, allow_pickle=False)
        np.save(folder / "centre.npy", self.centre, allow_pickle=False)
        (folder / "metadata.json").write_text(json.dumps(self.metadata, indent=2))

    @classmethod
    def read(cls, folder: str | Path) -> Embeddings:
        """Reads what ``write`` wrote."""
        folder = Path(folder)
        item_id, embedding = read_external(folder / _PARQUET)
        clusters = pq.read_table(folder / _PARQUET, columns=["cluster_id"])["cluster_id"]
        return cls(
            item_id=item_id,
            embedding=embedding,
            cluster_id=clusters.to_numpy().astype(np.int32),
            centroids=np.load(folder / "centroids.npy", allow_pickle=False),
            centre=np.load(folder / "centre.npy", allow_pickle=False),
            metadata=json.loads((folder / "metadata.json").read_text()),
        )

    def vectors_for(self, item_ids: Iterable[str]) -> np.ndarray:
        """Float32 [n, d] in the order of ``item_ids``; zeros for items without a vector."""
        return self._rows(item_ids, self.embedding, 0.0)

    def clusters_for(self, item_ids: Iterable[str]) -> np.ndarray:
        """Int32 [n] in the order of ``item_ids``; -1 for items without a vector."""
        return self._rows(item_ids, self.cluster_id, -1)

    def _rows(self, item_ids: Iterable[str], values: np.ndarray, none: float) -> np.ndarray:
        position = {item: i for i, item in enumerate(self.item_id)}
        rows = np.array([position.get(item, -1) for item in item_ids])
        found = values[np.maximum(rows, 0)].copy()
        found[rows < 0] = none
        return found
