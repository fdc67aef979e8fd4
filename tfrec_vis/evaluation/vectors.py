"""An embedding as the experiment sees it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from tfrec_vis.errors import InputError

READS = {
    "vector": ("vectors",),
    "sim_score": ("vectors",),
    "sim_tier": ("vectors",),
    "cluster_id": ("clusters",),
    "semantic_id": ("semantic_ids",),
}
"""What each visual feature reads of an embedding."""


@dataclass(frozen=True)
class Vectors:
    """An embedding by ``item_index``, of one pre-training.

    Attributes:
        name: "courier", "imagenet", ...
        role: "courier", "baseline", "ablation" or "oracle"; "control" for shuffled pictures.
        vectors: float32 [items + 1, d], zeros for none.
        clusters: int32 [items + 1], -1 for none.
        cluster_count: number of clusters.
        semantic_ids: int32 [items + 1, levels], -1 for none; None: the embedding has none.
        semantic_codes: codes to choose from on each level.
        pretrain_seed: the seed it was pre-trained with; 0 where it was not.
        off: bool [items + 1], items that get no visual features as the target; None: none.
    """

    name: str
    role: str
    vectors: np.ndarray
    clusters: np.ndarray
    cluster_count: int
    semantic_ids: np.ndarray | None = None
    semantic_codes: int = 0
    pretrain_seed: int = 0
    off: np.ndarray | None = None

    def digest(self, parts: Sequence[str]) -> str:
        """Identity of all that the features ``parts`` read."""
        read = sorted({array for part in parts for array in READS[part]})
        read += ["off"] if self.off is not None else []
        identity = [self.cluster_count, self.semantic_codes, *(self._digests[n] for n in read)]
        return hashlib.sha256(repr(identity).encode()).hexdigest()

    @cached_property
    def _digests(self) -> dict[str, str]:
        found = {}
        for name, array in self.tables.items():
            if array is not None:
                digest = hashlib.sha256(f"{array.dtype} {array.shape}".encode())
                digest.update(np.ascontiguousarray(array).data)
                found[name] = digest.hexdigest()
        return found

    def check(self, parts: Sequence[str]) -> None:
        """Raises InputError if the embedding lacks what the features ``parts`` read."""
        if "semantic_id" in parts and self.semantic_ids is None:
            raise InputError(
                f"evaluate.features: semantic_id needs semantic ids, the embedding {self.name} "
                "has none; set embed.semantic_levels to 2 or 3"
            )

    def arguments(self, parts: Sequence[str], with_cosines: bool) -> dict[str, Any]:
        """Arguments of ``VisualFeatures`` for the features ``parts``.

        Args:
            parts: single features.
            with_cosines: whether cosines are given along with the rows, so that ``vector`` alone
                needs the vectors.
        """
        readers = {"vector"} if with_cosines else {"vector", "sim_score", "sim_tier"}
        codes = self.semantic_ids if "semantic_id" in parts else None
        return {
            "vector_dim": self.vectors.shape[1] if readers & set(parts) else 0,
            "clusters": self.cluster_count if "cluster_id" in parts else 0,
            "semantic": (0, 0) if codes is None else (codes.shape[1], self.semantic_codes),
        }

    @property
    def tables(self) -> dict[str, np.ndarray | None]:
        """Arguments of ``VisualFeatures.set_tables``."""
        names = ("vectors", "clusters", "semantic_ids", "off")
        return {name: getattr(self, name) for name in names}

    def without(self, items: np.ndarray) -> Vectors:
        """Some items get no visual features as the target: bool [items + 1].

        In the histories of other targets they keep their pictures.
        """
        return replace(self, off=items)

    def shuffled(self, seed: int) -> Vectors:
        """The control: the same embeddings, each given to another item that has one."""
        pictured = np.flatnonzero(self.vectors.any(axis=1))
        order = np.arange(len(self.vectors))
        order[pictured] = np.random.default_rng(seed).permutation(pictured)
        return replace(
            self,
            name="shuffled",
            role="control",
            vectors=self.vectors[order],
            clusters=self.clusters[order],
            semantic_ids=None if self.semantic_ids is None else self.semantic_ids[order],
        )
