"""The embedding store: one vector and one cluster id per item."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfrec_vis.embeddings.external import read_external
from tfrec_vis.errors import InputError

_PARQUET = "embeddings.parquet"
_ROW_GROUP = 65_536


@dataclass(frozen=True)
class Embeddings:
    """Embeddings of a catalogue.

    Attributes:
        item_id: str object [n].
        embedding: float32 [n, d], L2-normalised.
        cluster_id: int32 [n], the nearest centroid.
        centroids: float32 [clusters, d].
        centre: float32 [d], what was taken off the features before normalising (zeros: none).
        metadata: encoder fingerprint, data manifest hash, diagnostics, balance of the clusters.
        semantic_id: int32 [n, levels]; None: there are none.
        codebooks: float32 [levels, codes, d], of the semantic ids.
    """

    item_id: np.ndarray
    embedding: np.ndarray
    cluster_id: np.ndarray
    centroids: np.ndarray
    centre: np.ndarray
    metadata: dict[str, Any]
    semantic_id: np.ndarray | None = None
    codebooks: np.ndarray | None = None

    def write(self, folder: str | Path) -> None:
        """Writes embeddings.parquet, centroids.npy, centre.npy, codebooks.npy, metadata.json."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        kinds = {
            "item_id": pa.string(),
            "embedding": pa.list_(pa.float32(), self.embedding.shape[1]),
            "cluster_id": pa.int32(),
        }
        if self.semantic_id is not None:
            kinds["semantic_id"] = pa.list_(pa.int32(), self.semantic_id.shape[1])
        with pq.ParquetWriter(folder / _PARQUET, pa.schema(kinds)) as writer:
            for start in range(0, len(self.item_id), _ROW_GROUP):
                writer.write_table(self._table(slice(start, start + _ROW_GROUP)))
        np.save(folder / "centroids.npy", self.centroids, allow_pickle=False)
        np.save(folder / "centre.npy", self.centre, allow_pickle=False)
        if self.codebooks is not None:
            np.save(folder / "codebooks.npy", self.codebooks, allow_pickle=False)
        (folder / "metadata.json").write_text(json.dumps(self.metadata, indent=2))

    @classmethod
    def read(cls, folder: str | Path) -> Embeddings:
        """Reads what ``write`` wrote."""
        folder = Path(folder)
        item_id, embedding = read_external(folder / _PARQUET)
        clusters = pq.read_table(folder / _PARQUET, columns=["cluster_id"])["cluster_id"]
        semantic_id = codebooks = None
        if (folder / "codebooks.npy").is_file():
            codes = pq.read_table(folder / _PARQUET, columns=["semantic_id"])["semantic_id"]
            flat = codes.combine_chunks().flatten().to_numpy()
            semantic_id = flat.astype(np.int32).reshape(len(item_id), -1)
            codebooks = np.load(folder / "codebooks.npy", allow_pickle=False)
        return cls(
            item_id=item_id,
            embedding=embedding,
            cluster_id=clusters.to_numpy().astype(np.int32),
            centroids=np.load(folder / "centroids.npy", allow_pickle=False),
            centre=np.load(folder / "centre.npy", allow_pickle=False),
            metadata=json.loads((folder / "metadata.json").read_text()),
            semantic_id=semantic_id,
            codebooks=codebooks,
        )

    @property
    def fitted_sha256(self) -> str:
        """Hash of centre, centroids and codebooks: what cluster and semantic ids mean."""
        digest = hashlib.sha256()
        for fitted in (self.centre, self.centroids, self.codebooks):
            if fitted is not None:
                digest.update(f"{fitted.dtype} {fitted.shape}".encode())
                digest.update(np.ascontiguousarray(fitted).data)
        return digest.hexdigest()

    def vectors_for(self, item_ids: Iterable[str]) -> np.ndarray:
        """Float32 [n, d] in the order of ``item_ids``; zeros for items without a vector."""
        return self._rows(item_ids, self.embedding, 0.0)

    def clusters_for(self, item_ids: Iterable[str]) -> np.ndarray:
        """Int32 [n] in the order of ``item_ids``; -1 for items without a vector."""
        return self._rows(item_ids, self.cluster_id, -1)

    def semantic_ids_for(self, item_ids: Iterable[str]) -> np.ndarray:
        """Int32 [n, levels] in the order of ``item_ids``; -1 for items without a vector.

        Raises:
            InputError: the embeddings were made without semantic ids.
        """
        if self.semantic_id is None:
            raise InputError(
                "these embeddings have no semantic ids; make them with embed.semantic_levels 2 or 3"
            )
        return self._rows(item_ids, self.semantic_id, -1)

    def _table(self, rows: slice) -> pa.Table:
        columns = {
            "item_id": pa.array(list(self.item_id[rows]), pa.string()),
            "embedding": _lists(self.embedding[rows], np.float32),
            "cluster_id": pa.array(self.cluster_id[rows], pa.int32()),
        }
        if self.semantic_id is not None:
            columns["semantic_id"] = _lists(self.semantic_id[rows], np.int32)
        return pa.table(columns)

    def _rows(self, item_ids: Iterable[str], values: np.ndarray, none: float) -> np.ndarray:
        position = {item: i for i, item in enumerate(self.item_id)}
        rows = np.array([position.get(item, -1) for item in item_ids], np.int64)
        found = values[np.maximum(rows, 0)]
        found[rows < 0] = none
        return found


def _lists(values: np.ndarray, kind: type) -> pa.FixedSizeListArray:
    flat = pa.array(np.ascontiguousarray(values, kind).ravel())
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
