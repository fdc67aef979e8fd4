"""A pre-training run: prepared pages in, a trained model folder out; resumable at the batch."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras as keras

from tfrec_vis.data import decode_letterboxed, pages, read_items, read_manifest
from tfrec_vis.data.items import read_pictures
from tfrec_vis.data.pages import batch_count
from tfrec_vis.errors import InputError
from tfrec_vis.pretraining.callbacks import Checkpoints, Curves
from tfrec_vis.pretraining.methods import build_model
from tfrec_vis.pretraining.model import PretrainingModel
from tfrec_vis.pretraining.settings import PretrainSettings

_MODEL = "model.keras"
_SAMPLE = 4096
"""Items whose features start the output layer."""


def train(
    prepared: str | Path, out: str | Path, settings: PretrainSettings, logs: str | Path
) -> PretrainingModel:
    """Trains, or goes on with an interrupted training of the same settings.

    Args:
        prepared: folder that ``prepare`` wrote.
        out: folder of this run; holds checkpoints while training, then model.keras.
        settings: the run's settings.
        logs: TensorBoard folder.

    Returns:
        The trained model, saved in ``out``.

    Raises:
        InputError: settings that cannot work.
    """
    out = Path(out)
    model = build_model(settings)
    records = read_manifest(prepared)["splits"]["pretrain"]["records"]
    if not records:
        raise InputError(f"{prepared}: no page view before the first cut; raise prepare.splits")
    steps = batch_count(records, settings.batch_size)
    model.compile(optimizer=_optimizer(settings, steps * settings.epochs), jit_compile=False)

    checkpoints = Checkpoints(model, out / "checkpoints", settings.checkpoint_seconds)
    done = checkpoints.restore()
    if not done:
        shutil.rmtree(logs, ignore_errors=True)
        _start_output_layer(model, prepared, settings)
    callbacks = [Curves(logs), checkpoints]
    while done < steps * settings.epochs:
        epoch, batch = divmod(done, steps)
        dataset = pages(
            prepared,
            batch_size=settings.batch_size,
            image_size=settings.image_size,
            seed=settings.seed,
            flip=settings.flip,
            first_epoch=epoch,
            first_batch=batch,
        )
        # An epoch taken up in its middle is finished on its own, the others go in one fit.
        last = epoch + 1 if batch else settings.epochs
        model.fit(
            dataset if batch else dataset.repeat(),
            initial_epoch=epoch,
            epochs=last,
            steps_per_epoch=steps - batch,
            callbacks=callbacks,
            verbose=0,
        )
        done = last * steps
    model.save(out / _MODEL)
    checkpoints.remove()
    return model


def load(folder: str | Path) -> PretrainingModel:
    """The model that ``train`` saved in ``folder``."""
    return keras.models.load_model(Path(folder) / _MODEL, compile=False)


def _start_output_layer(
    model: PretrainingModel, prepared: str | Path, settings: PretrainSettings
) -> None:
    manifest = read_manifest(prepared)
    catalogue = read_items(prepared, pictures=False)
    early = np.flatnonzero(
        (catalogue.first_seen >= 0) & (catalogue.first_seen < manifest["cuts"][0])
    )
    sample = np.random.default_rng(settings.seed).permutation(early)[:_SAMPLE]
    size = settings.image_size or manifest["settings"]["image_size"]
    images = tf.data.Dataset.from_tensor_slices(read_pictures(prepared, sample))
    images = images.map(lambda one: decode_letterboxed(one, size)).batch(128)
    encode = tf.function(lambda batch: model.encoder(batch, training=False), autograph=False)
    features = np.concatenate([encode(batch).numpy() for batch in images])
    try:
        model.start_from(features.astype(np.float32))
    except ValueError as error:
        raise InputError(f"pretrain.embedding_dim: {error}") from error


def _optimizer(settings: PretrainSettings, total: int) -> keras.optimizers.Optimizer:
    rate: float | keras.optimizers.schedules.LearningRateSchedule = settings.learning_rate
    if settings.schedule == "cosine":
        warm_up = max(total // 20, 1)
        rate = keras.optimizers.schedules.CosineDecay(
            settings.learning_rate / warm_up,
            max(total - warm_up, 1),
            warmup_target=settings.learning_rate,
            warmup_steps=warm_up,
        )
    return keras.optimizers.AdamW(rate, weight_decay=settings.weight_decay)
