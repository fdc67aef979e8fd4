"""Embedding a large catalogue with Apache Beam."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf
from apache_beam.io.filesystems import FileSystems
from apache_beam.io.parquetio import WriteToParquet
from apache_beam.ml.inference.base import KeyedModelHandler, RunInference

from tfrec_vis.data.file_systems import load_file_system
from tfrec_vis.embeddings.embed import embed_catalogue
from tfrec_vis.embeddings.encode import weights_fingerprint
from tfrec_vis.embeddings.encoder_handler import EncoderHandler
from tfrec_vis.embeddings.settings import EmbedSettings
from tfrec_vis.errors import InputError
from tfrec_vis.prepare.beam_flags import read_beam_flags
from tfrec_vis.prepare.users_fault import users_fault

_Item = tuple[int, str, int]
"""item_index, item_id, first_seen."""
_SHARD = pa.schema(
    {
        "item_index": pa.int64(),
        "item_id": pa.string(),
        "first_seen": pa.int64(),
        "feature": pa.list_(pa.float32()),
    }
)
_WHOLE = "whole"
"""Beside features of all items."""
_BUFFER = 16 << 20
"""Bytes of features that a worker holds before it writes them."""
_BATCH = 8192
"""Rows of features read at once."""


def embed_with_beam(
    prepared: str,
    trained: str,
    out: str,
    settings: EmbedSettings,
    beam_options: Sequence[str] = (),
) -> dict[str, Any]:
    """Encodes a catalogue on any runner of Beam and writes its embeddings.

    The vectors are those of ``tfrec-vis embed`` within 1e-5. Batches are others, and so is the
    rounding: cluster and semantic ids of items between two centroids can differ, and k-means that
    starts from such vectors can end in other centroids.

    Workers read the items' files as streams, hold one batch of pictures, and write features as
    Parquet files to OUT.partial-HASH, a folder of this encoder, picture size and data: whole
    features that are there are not made again. The process that calls this gathers them on its
    disk (4 d bytes an item), fits and assigns clusters, and writes OUT. Nothing is at OUT before
    it is whole; at a URI, metadata.json comes last.

    Args:
        prepared: folder or URI that ``prepare`` wrote.
        trained: folder or URI with model.keras and settings.json.
        out: folder or URI that does not exist yet; all workers must be able to reach it.
        settings: the recipe's ``embed`` section.
        beam_options: flags of Beam; without ``--runner`` everything runs in this process.

    Returns:
        The metadata of what was written.

    Raises:
        InputError: a flag or setting is wrong, something is missing or damaged, or OUT is there.
    """
    runner, options = read_beam_flags(beam_options)
    manifest = _read_manifest(prepared)
    facts = json.loads(manifest)
    _check_new(out)
    is_here = "://" not in out
    beside = os.path.dirname(os.path.abspath(out)) if is_here else None
    if beside:
        os.makedirs(beside, exist_ok=True)
    handler = EncoderHandler(
        trained, facts["settings"]["image_size"], settings.batch_size, settings.image_size
    )
    fingerprint = weights_fingerprint(handler.load_keras_model())
    of = hashlib.sha256(f"{fingerprint} {handler.image_size()} ".encode() + manifest).hexdigest()
    _check_clusters(settings, facts["item_count"])
    partial = f"{out.rstrip('/')}.partial-{of[:12]}"
    whole = f"{partial}/{_WHOLE}"
    if not tf.io.gfile.exists(whole):
        _remove(partial)
        with users_fault(), beam.Pipeline(runner=runner, options=options) as pipeline:
            _encode(pipeline, prepared, handler, partial)
    with tempfile.TemporaryDirectory(prefix=".embed-", dir=beside) as scratch:
        features, item_id, first_seen = _gather(partial, facts["item_count"], Path(scratch))
        with tf.io.gfile.GFile(whole, "w") as file:
            file.write(of)
        made = embed_catalogue(
            features, item_id, first_seen, manifest, settings, fingerprint, features
        )
        store = Path(scratch) / "store"
        made.write(store)
        if is_here:
            _check_new(out)
            store.rename(out)
        else:
            _upload(store, out)
    _remove(partial)
    return made.metadata


def _check_new(out: str) -> None:
    load_file_system(out)
    if not tf.io.gfile.exists(out):
        return
    if tf.io.gfile.exists(f"{out.rstrip('/')}/metadata.json"):
        raise InputError(f"{out} exists; name a new folder")
    raise InputError(f"{out} exists and is incomplete (no metadata.json); remove it")


def _check_clusters(settings: EmbedSettings, items: int) -> None:
    """Whether so many items can be enough; how many were seen early is known when all are read."""
    wanted = {"clusters": settings.clusters}
    if settings.semantic_levels:
        wanted["semantic_codes"] = settings.semantic_codes
    for name, clusters in wanted.items():
        if clusters > items:
            raise InputError(
                f"embed.{name}: {clusters} clusters need as many items, there are {items}; lower "
                f"embed.{name}"
            )


def _encode(pipeline: beam.Pipeline, prepared: str, handler: EncoderHandler, out: str) -> None:
    """Features of all items as Parquet files in ``out``."""
    files = sorted(tf.io.gfile.glob(tf.io.gfile.join(prepared, "items-*.tfrecord")))
    _ = (
        pipeline
        | "files of items" >> beam.Create(files)
        | "spread files" >> beam.Reshuffle()
        | "read items" >> beam.FlatMap(_read_items)
        | "encode" >> RunInference(KeyedModelHandler(handler))
        | "rows" >> beam.MapTuple(_row)
        | "write features"
        >> WriteToParquet(
            f"{out}/features",
            _SHARD,
            row_group_buffer_size=_BUFFER,
            file_name_suffix=".parquet",
        )
    )


def _read_manifest(prepared: str) -> bytes:
    load_file_system(prepared)
    try:
        with tf.io.gfile.GFile(tf.io.gfile.join(prepared, "manifest.json"), "rb") as file:
            return file.read()
    except tf.errors.OpError as error:
        raise InputError(
            f"{prepared} is not prepared data (no readable manifest.json): name the folder that "
            "`tfrec-vis prepare` or pipelines/prepare.py wrote"
        ) from error


def _read_items(path: str) -> Iterator[tuple[_Item, bytes]]:
    load_file_system(path)
    try:
        for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
            values = tf.train.Example.FromString(record).features.feature
            index, seen = (values[n].int64_list.value[0] for n in ("item_index", "first_seen"))
            item, image = (values[n].bytes_list.value[0] for n in ("item_id", "image"))
            yield (index, item.decode(), seen), image
    except tf.errors.DataLossError as error:
        raise InputError(
            f"{path} is damaged: copy it again from where it is whole, or prepare it again"
        ) from error


def _row(item: _Item, feature: np.ndarray) -> dict[str, Any]:
    return {**dict(zip(_SHARD.names, item, strict=False)), "feature": feature.tolist()}


def _gather(partial: str, count: int, scratch: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features (a memory map), item_id and first_seen of all items, in the order of item_index."""
    item_id = np.full(count, None, object)
    first_seen = np.empty(count, np.int64)
    features: np.ndarray | None = None
    rows = 0
    (found,) = FileSystems.match([f"{partial}/features-*.parquet"])
    for path in sorted(file.path for file in found.metadata_list):
        with FileSystems.open(path) as file:
            for batch in pq.ParquetFile(file).iter_batches(_BATCH):
                index = batch["item_index"].to_numpy() - 1
                vectors = batch["feature"].flatten().to_numpy().reshape(len(index), -1)
                if features is None:
                    shape = (count, vectors.shape[1])
                    features = np.memmap(scratch / "features", np.float32, "w+", shape=shape)
                features[index] = vectors
                item_id[index] = batch["item_id"].to_pylist()
                first_seen[index] = batch["first_seen"].to_numpy()
                rows += len(index)
    if features is None or rows != count or (item_id == None).any():  # noqa: E711
        raise InputError(
            f"{rows} items were read where the manifest says {count}: files of the prepared data "
            "are missing or exchanged; prepare them again"
        )
    return features, item_id, first_seen


def _upload(folder: Path, out: str) -> None:
    """Copies the files of an embedding store, that by which it is known to be whole last."""
    tf.io.gfile.makedirs(out)
    for path in sorted(folder.iterdir(), key=lambda path: path.name == "metadata.json"):
        tf.io.gfile.copy(str(path), f"{out.rstrip('/')}/{path.name}", overwrite=True)


def _remove(folder: str) -> None:
    if tf.io.gfile.exists(folder):
        tf.io.gfile.rmtree(folder)
