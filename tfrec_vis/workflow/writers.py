"""What writes each exported model, with its description and its warm-up calls.

The recorded outputs are what the Keras model and the embeddings give, computed outside of the
exported graph.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from tfrec_vis.data import Impressions, decode_letterboxed_batch
from tfrec_vis.embeddings import Embeddings, assign_clusters, assign_codes, nearest
from tfrec_vis.embeddings.embed import normalise
from tfrec_vis.ranking import Ranker, RankerTables
from tfrec_vis.serving import (
    WarmupCall,
    export_encoder,
    export_ranker,
    export_similar,
    picture_embedder,
    serialized_examples,
    write_export_metadata,
    write_warmup,
)
from tfrec_vis.serving.validate import requests_of

Writer = Callable[[Path], None]
_TRIED = 64
"""Items among which the warm-up of ``similar`` chooses a quarter."""
_GAP = 1e-5
"""Cosines that are further apart are in the same order on every machine."""


@dataclass(frozen=True)
class Pictures:
    """An encoder with what belongs to it, and some pictures to try it on.

    Attributes:
        encode: pictures uint8 [n, h, w, 3] -> [n, d].
        image_size: side of the pictures it encodes, pixels.
        embeddings: the catalogue's embeddings by it.
        image_bytes: pictures for the warm-up, as they were prepared.
        prepared: settings of the preparation, as ``picture_embedder`` takes them.
    """

    encode: keras.Model
    image_size: int
    embeddings: Embeddings
    image_bytes: Sequence[bytes]
    prepared: Mapping[str, Any] | None = None

    @property
    def inputs(self) -> dict[str, np.ndarray]:
        """The pictures as a request."""
        return {"image_bytes": np.array([*self.image_bytes, b""], object)[:-1]}

    def embedder(self) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
        """What exports call on pictures."""
        return picture_embedder(self.encode, self.image_size, self.embeddings, self.prepared)

    def embedded(self) -> dict[str, np.ndarray]:
        """Their vectors, clusters and semantic ids, as ``VisualFeatures`` takes them."""
        made = self.embeddings
        decoded = decode_letterboxed_batch(tf.constant(self.image_bytes), self.image_size)
        features = tf.cast(self.encode(decoded, training=False), tf.float32).numpy()
        vectors = np.empty_like(features)
        names = np.array([f"picture {i} of the warm-up" for i in range(len(features))], object)
        normalise(features, made.centre, vectors, names)
        found = {"vectors": vectors, "clusters": assign_clusters(vectors, made.centroids)}
        if made.codebooks is not None:
            found["semantic_ids"] = assign_codes(vectors, made.codebooks)
        return found

    def described(self) -> dict[str, Any]:
        """What every export says of its encoder and data."""
        names = ("encoder_fingerprint", "data_manifest_sha256")
        described = {name: self.embeddings.metadata[name] for name in names}
        return {**described, "fitted_sha256": self.embeddings.fitted_sha256}


def encoder_writer(pictures: Pictures) -> Writer:
    """Writes ``encoder`` into a folder."""

    def write(folder: Path) -> None:
        export_encoder(
            pictures.encode,
            pictures.image_size,
            pictures.embeddings,
            folder,
            pictures.prepared,
        )
        found = pictures.embedded()
        outputs = {"embedding": found["vectors"], "cluster_id": found["clusters"]}
        examples = serialized_examples({"image": pictures.inputs["image_bytes"]})
        calls = [
            WarmupCall(pictures.inputs, outputs),
            WarmupCall({"examples": examples}, outputs, "examples"),
        ]
        write_warmup(folder, calls, "encoder")
        described = {**pictures.described(), "image_size": pictures.image_size}
        write_export_metadata(folder, "encoder", **described)

    return write


def ranker_writer(
    ranker: Ranker, tables: RankerTables, rows: Impressions, pictures: Pictures, **described: Any
) -> Writer:
    """Writes ``ranker`` into a folder.

    Args:
        ranker: the model.
        tables: the tables it was built with.
        rows: impressions for the warm-up, histories as long as the ranker reads them.
        pictures: of the encoder that made the ranker's vectors.
        described: further fields of its description.
    """

    def write(folder: Path) -> None:
        export_ranker(ranker, tables, folder, cold=pictures.embedder())
        write_warmup(folder, _ranker_calls(ranker, tables, rows, pictures), "ranker")
        write_export_metadata(
            folder,
            "ranker",
            **pictures.described(),
            feature=ranker.feature,
            ranker=ranker.ranker,
            history=tables.history,
            **described,
        )

    return write


def similar_writer(pictures: Pictures) -> Writer:
    """Writes ``similar`` into a folder."""

    def write(folder: Path) -> None:
        made = pictures.embeddings
        k = export_similar(pictures.embedder(), made, folder)
        first = np.arange(min(len(made.item_id), _TRIED))
        by_item = _clear_neighbours(made, made.embedding[first], k, first)
        by_picture = _clear_neighbours(made, pictures.embedded()["vectors"], k)
        calls = [
            WarmupCall({"item_id": made.item_id[first[by_item[0]]]}, by_item[1]),
            WarmupCall(
                {"image_bytes": pictures.inputs["image_bytes"][by_picture[0]]},
                by_picture[1],
                "image",
            ),
        ]
        write_warmup(folder, calls, "similar")
        write_export_metadata(folder, "similar", **pictures.described(), k=k)

    return write


def _clear_neighbours(
    made: Embeddings, queries: np.ndarray, k: int, leave_out: np.ndarray | None = None
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Some queries whose neighbours do not hang on the last bit: their rows, and the answer."""
    rows, scores = nearest(made.embedding, queries, k + 1, leave_out)
    gaps = scores[:, :-1] - scores[:, 1:]
    # Items that look the same come in their order, but which of them is the last is open.
    clear = ((gaps[:, : k - 1] == 0) | (gaps[:, : k - 1] > _GAP)).all(axis=1)
    clear &= (gaps[:, k - 1 :] > _GAP).all(axis=1)
    chosen = np.flatnonzero(clear)[: _TRIED // 4]
    answer = {"item_id": made.item_id[rows[chosen, :k]], "score": scores[chosen, :k]}
    return chosen, answer


def _ranker_calls(
    ranker: Ranker, tables: RankerTables, rows: Impressions, pictures: Pictures
) -> list[WarmupCall]:
    request = requests_of(rows, tables.item_id)
    inputs = tables.inputs(rows)
    outputs = {"ctr": _scores(ranker, inputs)}
    calls = [
        WarmupCall(request, outputs),
        WarmupCall({"examples": serialized_examples(request)}, outputs, "examples"),
    ]
    count = min(len(rows), len(pictures.image_bytes))
    inputs = {name: values[:count] for name, values in inputs.items()}
    inputs["item"] = np.zeros_like(inputs["item"])
    found = {name: values[:count] for name, values in pictures.embedded().items()}
    request = {name: values[:count] for name, values in request.items() if name != "item_id"}
    request["image_bytes"] = pictures.inputs["image_bytes"][:count]
    return [*calls, WarmupCall(request, {"ctr": _scores(ranker, inputs, found)}, "cold")]


def _scores(
    ranker: Ranker, inputs: dict[str, np.ndarray], target: dict[str, np.ndarray] | None = None
) -> np.ndarray:
    given: dict[str, Any] = {name: tf.constant(values) for name, values in inputs.items()}
    if target is not None:
        given["target"] = {name: tf.constant(values) for name, values in target.items()}
    return tf.sigmoid(ranker(given, training=False)).numpy()
