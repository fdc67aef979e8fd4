"""All visual features of a ranking model together, over tables of its items."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from tfrec_vis.ranking.cluster_id_feature import ClusterIdFeature
from tfrec_vis.ranking.features import parse_features
from tfrec_vis.ranking.semantic_id_feature import SemanticIdFeature
from tfrec_vis.ranking.sim_score import TOP, SimScore
from tfrec_vis.ranking.sim_score import cosines as inner_products
from tfrec_vis.ranking.sim_tier import SimTier
from tfrec_vis.ranking.vector_feature import VectorFeature
from tfrec_vis.ranking.visual_gate import VisualGate


@keras.saving.register_keras_serializable(package="tfrec_vis")
class VisualFeatures(keras.layers.Layer):
    """Visual features of items given by number, looked up in tables that travel inside.

        out = [gate_1 * feature_1 ; gate_2 * feature_2 ; ...]

    in the order of ``features``; see ``VectorFeature``, ``SimScore``, ``ClusterIdFeature``,
    ``SimTier`` and ``SemanticIdFeature`` for each. History item 0 is padding. Every distinct item
    of a batch is projected once for ``vector``. A target that is switched off, or has no picture,
    gives zeros; a click that is switched off keeps its picture.

    Args:
        features: names, as ``parse_features`` gives them.
        items: rows of the tables, with row 0 for "no item"; fill them with ``set_tables``.
        history: L, clicks of a history.
        vector_dim: d of the vectors, for ``vector`` and for cosines computed here; 0: no table,
            ``sim_score`` and ``sim_tier`` are then given ``cosines``.
        clusters: number of clusters, for ``cluster_id``.
        semantic: (levels, codes), for ``semantic_id``.
        categories: number of categories, for a ``VisualGate`` on each feature; 0: no gates.
        units: width of projections and embeddings.

    Example:
        >>> import numpy as np, tensorflow as tf, tfrec_vis as tv
        >>> layer = tv.ranking.VisualFeatures(
        ...     ("sim_score", "cluster_id"), items=3, history=2, vector_dim=2, clusters=5, units=4
        ... )
        >>> vectors = np.array([[0, 0], [1, 0], [0.6, 0.8]], np.float32)
        >>> layer.set_tables(vectors=vectors, clusters=np.array([-1, 4, 4]))
        >>> out = layer(tf.constant([1]), tf.constant([[2, 0]]))
        >>> out.shape.as_list(), layer.width
        ([1, 14], 14)
        >>> bool((abs(out[0, :5] - 0.6) < 1e-6).numpy().all())
        True
    """

    def __init__(
        self,
        features: Sequence[str],
        items: int,
        history: int,
        vector_dim: int = 0,
        clusters: int = 0,
        semantic: Sequence[int] = (0, 0),
        categories: int = 0,
        units: int = 8,
        **kwargs: Any,
    ) -> None:
        # Given cosines are not cast to half precision: it would move them to another bin.
        super().__init__(autocast=False, **kwargs)
        self.features = parse_features("+".join(features) or "none")
        if not self.features:
            raise ValueError("expected at least one visual feature, got none")
        if "vector" in self.features and not vector_dim:
            raise ValueError("expected vector_dim, the width of the vectors, for vector, got 0")
        self.items, self.history, self.units = items, history, units
        self.vector_dim, self.clusters, self.categories = vector_dim, clusters, categories
        self.semantic = (semantic[0], semantic[1])
        policy = self.dtype_policy
        self.parts: dict[str, Any] = {}
        self.widths: dict[str, int] = {}
        if "vector" in self.features:
            self.parts["vector"] = VectorFeature(units, name="vector", dtype=policy)
            self.widths["vector"] = 2 * units
        if "sim_score" in self.features:
            self.parts["sim_score"] = SimScore(name="sim_score", dtype=policy)
            self.widths["sim_score"] = history + TOP
        if "cluster_id" in self.features:
            self.parts["cluster_id"] = ClusterIdFeature(
                clusters, units, name="cluster_id", dtype=policy
            )
            self.widths["cluster_id"] = 2 * units + 1
        if "sim_tier" in self.features:
            self.parts["sim_tier"] = SimTier(name="sim_tier", dtype=policy)
            self.widths["sim_tier"] = self.parts["sim_tier"].bins
        if "semantic_id" in self.features:
            self.parts["semantic_id"] = SemanticIdFeature(
                *self.semantic, units, name="semantic_id", dtype=policy
            )
            self.widths["semantic_id"] = 2 * units + self.semantic[0]
        self.gate_layers = {
            feature: VisualGate(categories, name=f"{feature}_gate", dtype=policy)
            for feature in self.features
            if categories
        }
        self.tables = self._make_tables()

    @property
    def width(self) -> int:
        """Width of the output."""
        return sum(self.widths.values())

    def _make_tables(self) -> dict[str, tf.Variable]:
        def table(name: str, shape: list[int], none: int, dtype: Any = tf.int64) -> tf.Variable:
            return self.add_weight(
                name=f"{name}_table",
                shape=shape,
                dtype=dtype,
                initializer=keras.initializers.Constant(none),
                trainable=False,
                experimental_autocast=False,
            )

        tables = {}
        if {"vector", "sim_score", "sim_tier"} & {*self.features}:
            if self.vector_dim:
                tables["vectors"] = table("vector", [self.items, self.vector_dim], 0, None)
            tables["pictured"] = table("pictured", [self.items], 1)
        if "cluster_id" in self.features:
            tables["clusters"] = table("cluster", [self.items], -1)
        if "semantic_id" in self.features:
            tables["semantic_ids"] = table("semantic_id", [self.items, self.semantic[0]], -1)
        if self.categories:
            tables["categories"] = table("category", [self.items], 0)
        tables["off"] = table("off", [self.items], 0)
        return tables

    def set_tables(
        self,
        vectors: Any = None,
        clusters: Any = None,
        semantic_ids: Any = None,
        categories: Any = None,
        off: Any = None,
    ) -> None:
        """Fills the tables; row 0 is "no item". What no feature reads is left alone.

        Args:
            vectors: float [items, d], L2-normalised; zeros: no picture. Also for ``sim_tier`` with
                given cosines: they say which items have a picture (until set: all).
            clusters: int [items]; -1: none.
            semantic_ids: int [items, levels]; -1: none.
            categories: int [items].
            off: bool or int [items]; true: zeros for this item as the target.

        Raises:
            ValueError: a table of another shape, or numbers beyond those declared.
        """
        given: dict[str, Any] = {
            "clusters": (clusters, -1, self.clusters),
            "semantic_ids": (semantic_ids, -1, self.semantic[1]),
            "categories": (categories, 0, self.categories),
            "off": (off, 0, 2),
        }
        for name, (values, least, count) in given.items():
            if values is None or name not in self.tables:
                continue
            values = self._checked(name, values, self.tables[name].shape).astype(np.int64)
            if not least <= values.min() <= values.max() < count:
                raise ValueError(
                    f"expected {name} of {least} to {count - 1}, got {values.min()} to "
                    f"{values.max()}"
                )
            self.tables[name].assign(values)
        if vectors is not None and "pictured" in self.tables:
            vectors = np.asarray(vectors)
            if "vectors" in self.tables:
                self._checked("vectors", vectors, self.tables["vectors"].shape)
                self.tables["vectors"].assign(vectors)
            pictured = vectors.any(axis=1)
            self.tables["pictured"].assign(
                self._checked("vectors", pictured, self.tables["pictured"].shape).astype(np.int64)
            )

    def _checked(self, name: str, values: Any, shape: tf.TensorShape) -> np.ndarray:
        values = np.asarray(values)
        if values.shape != tuple(shape):
            raise ValueError(f"expected {name} of shape {tuple(shape)}, got {values.shape}")
        return values

    def build(self, item_shape: tf.TensorShape) -> None:
        """Creates the features' weights."""
        for feature, width in (
            ("vector", self.vector_dim),
            ("cluster_id", None),
            ("semantic_id", self.semantic[0]),
        ):
            if feature in self.parts:
                with tf.name_scope(feature):
                    self.parts[feature].build(tf.TensorShape([None, width]))
        super().build(item_shape)

    def call(
        self,
        item: tf.Tensor,
        history: tf.Tensor,
        cosines: tf.Tensor | None = None,
        target: Mapping[str, tf.Tensor] | None = None,
    ) -> Any:
        """The features of a batch.

        Args:
            item: int [n], the targets.
            history: int [n, L], newest first, 0 none.
            cosines: float [n, L], the target's with each click, for ``sim_score`` and
                ``sim_tier``; None: computed from the vectors.
            target: what takes the place of the targets' rows in the tables, for pictures that are
                not in them: "vectors" [n, d], "clusters" int [n], "semantic_ids" int [n, levels],
                each if a feature reads it. Category and whether it is off stay those of ``item``.

        Returns:
            [n, width]

        Raises:
            ValueError: no cosines and no vectors to compute them from.
        """
        mask = history > 0
        given = dict(target or {})
        if "vectors" in given:
            given["pictured"] = tf.reduce_any(given["vectors"] != 0, axis=1)

        def of_target(name: str) -> tf.Tensor:
            table = self.tables[name]
            return tf.cast(given[name], table.dtype) if name in given else tf.gather(table, item)

        outputs = {}
        if {"sim_score", "sim_tier"} & {*self.features} and cosines is None:
            if "vectors" not in self.tables:
                raise ValueError("expected cosines, or vector_dim and vectors to compute them from")
            clicks = tf.gather(self.tables["vectors"], history)
            cosines = inner_products(of_target("vectors"), clicks)
        if "pictured" in self.tables:
            pictured = mask & (tf.gather(self.tables["pictured"], history) > 0)
            pictured &= of_target("pictured")[:, tf.newaxis] > 0
        for feature, part in self.parts.items():
            if feature == "vector":
                projected = self._projected(item, history, given.get("vectors"))
                outputs[feature] = part.from_projected(*projected, pictured)
            elif feature == "sim_score":
                outputs[feature] = part.from_scores(cosines, mask)
            elif feature == "sim_tier":
                outputs[feature] = part.from_scores(cosines, pictured)
            else:
                name = {"cluster_id": "clusters", "semantic_id": "semantic_ids"}[feature]
                outputs[feature] = part(
                    of_target(name), tf.gather(self.tables[name], history), mask
                )
        if self.categories:
            category = tf.gather(self.tables["categories"], item)
            outputs = {f: self.gate_layers[f](out, category) for f, out in outputs.items()}
        out = tf.concat(list(outputs.values()), axis=1)
        off = tf.gather(self.tables["off"], item) > 0
        return tf.where(off[:, tf.newaxis], tf.zeros_like(out), out)

    def _projected(
        self, item: tf.Tensor, history: tf.Tensor, target: tf.Tensor | None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Projected targets [n, units] and clicks [n, L, units]."""
        projection = self.parts["vector"].projection
        together = tf.concat([item[:, tf.newaxis], tf.cast(history, item.dtype)], axis=1)
        distinct, position = tf.unique(tf.reshape(together, [-1]))
        vectors = tf.cast(tf.gather(self.tables["vectors"], distinct), self.compute_dtype)
        rows = tf.gather(projection(vectors), tf.reshape(position, tf.shape(together)))
        if target is None:
            return rows[:, 0], rows[:, 1:]
        return projection(tf.cast(target, self.compute_dtype)), rows[:, 1:]

    def set_off(self, categories: Iterable[int]) -> None:
        """Switches all features off for these categories, and on for all others."""
        off = [*categories]
        for gate in self.gate_layers.values():
            gate.set_off(off)

    def gates(self) -> dict[str, np.ndarray]:
        """The gates of each feature, float [categories]; nothing without gates."""
        return {feature: gate.values() for feature, gate in self.gate_layers.items()}

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        names = ("features", "items", "history", "vector_dim", "clusters", "semantic")
        config = {name: getattr(self, name) for name in (*names, "categories", "units")}
        return {**super().get_config(), **config}
