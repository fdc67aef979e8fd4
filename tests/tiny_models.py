"""Tiny untrained models of a prepared shop, exported as a run exports its own."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import tf_keras as keras

from tfrec_vis.data import read_impressions, read_items, read_manifest
from tfrec_vis.data.items import read_pictures
from tfrec_vis.embeddings import EmbedSettings, embed_features
from tfrec_vis.embeddings.encode import encode_items, weights_fingerprint
from tfrec_vis.evaluation.rows import category_numbers
from tfrec_vis.ranking import Ranker, RankerTables
from tfrec_vis.workflow.writers import Pictures, encoder_writer, ranker_writer, similar_writer

FEATURE = "vector+sim_score+cluster_id+sim_tier+semantic_id"
IMAGE_SIZE, WIDTH, HISTORY, ROWS = 32, 5, 6, 6


def tiny_encoder() -> keras.Model:
    """Pictures to 5 numbers."""
    encoder = keras.Sequential(
        [
            keras.layers.Rescaling(1 / 255, input_shape=(IMAGE_SIZE, IMAGE_SIZE, 3)),
            keras.layers.Conv2D(6, 5, strides=3, activation="relu"),
            # Trained, it would drop half the features: an export must call it as inference.
            keras.layers.Dropout(0.5),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(WIDTH),
        ]
    )
    _shake(encoder, 0.5)
    return encoder


def write_tiny_models(prepared: Path, folder: Path, feature: str = FEATURE) -> Path:
    """Writes FOLDER/encoder, ranker and similar, with descriptions and warm-up calls."""
    encoder = tiny_encoder()
    settings = EmbedSettings(clusters=4, semantic_levels=2, semantic_codes=4)
    features = encode_items(encoder, prepared, None, 64)
    embeddings = embed_features(features, prepared, settings, weights_fingerprint(encoder))
    pictures = Pictures(
        encoder,
        IMAGE_SIZE,
        embeddings,
        read_pictures(prepared, np.arange(1, ROWS + 1)),
        read_manifest(prepared)["settings"],
    )
    catalogue = read_items(prepared, pictures=False)
    names, numbers = category_numbers(catalogue.category)
    tables = RankerTables.build(prepared, HISTORY, min_count=2)
    visual = {"vector_dim": WIDTH, "clusters": 4, "semantic": (2, 4), "categories": len(names)}
    ranker = Ranker(tables, feature, visual=visual)
    if ranker.visual is not None:
        ranker.visual.set_tables(
            vectors=embeddings.vectors_for(catalogue.item_id),
            clusters=embeddings.clusters_for(catalogue.item_id),
            semantic_ids=embeddings.semantic_ids_for(catalogue.item_id),
            categories=numbers,
        )
    _shake(ranker, 0.12)
    train = tables.inputs(read_impressions(prepared, "train", HISTORY))
    ranker.fit_scale(ranker.numbers(train))
    rows = read_impressions(prepared, "test", HISTORY).take(np.arange(ROWS))
    writers = {
        "encoder": encoder_writer(pictures),
        "ranker": ranker_writer(ranker, tables, rows, pictures),
        "similar": similar_writer(pictures),
    }
    for name, write in writers.items():
        write(folder / name)
    return folder


def _shake(model: keras.Model, scale: float) -> None:
    """Lively weights that depend on their names alone."""
    for i, variable in enumerate(sorted(model.trainable_variables, key=lambda v: v.name)):
        seed = int.from_bytes(hashlib.sha256(f"{i}{variable.shape}".encode()).digest()[:4], "big")
        random = np.random.default_rng(seed)
        variable.assign(random.normal(scale=scale, size=variable.shape))
