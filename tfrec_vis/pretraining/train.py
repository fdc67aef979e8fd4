"""A pre-training run: prepared pages in, a trained model folder out; resumable at the batch."""

from __future__ import annotations

import json
import math
import os
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras as keras

from tfrec_vis.data import decode_letterboxed, pages, read_items, read_manifest, read_pages
from tfrec_vis.data.items import read_pictures
from tfrec_vis.data.pages import batch_count
from tfrec_vis.errors import InputError
from tfrec_vis.pretraining.alarms import Alarms
from tfrec_vis.pretraining.batch_values import BatchValues
from tfrec_vis.pretraining.checkpoints import Checkpoints
from tfrec_vis.pretraining.curves import Curves
from tfrec_vis.pretraining.devices import Devices
from tfrec_vis.pretraining.early_stopping import EarlyStopping
from tfrec_vis.pretraining.examples import Examples
from tfrec_vis.pretraining.holdout import cut_of
from tfrec_vis.pretraining.methods import build_model
from tfrec_vis.pretraining.model import PretrainingModel
from tfrec_vis.pretraining.optimizer import build_optimizer
from tfrec_vis.pretraining.profile import Profile
from tfrec_vis.pretraining.progress import TrainingProgress
from tfrec_vis.pretraining.random_state import restorable_randomness
from tfrec_vis.pretraining.record import Record
from tfrec_vis.pretraining.retrieval import IntentionRetrieval
from tfrec_vis.pretraining.sample_pages import sample_pages
from tfrec_vis.pretraining.settings import PretrainSettings

_MODEL = "model.keras"
_SETTINGS = "settings.json"
_SAMPLE = 4096
"""Items whose features start the output layer."""
_HELD_OUT = 64
"""Held-out pages that are read at once."""
_EXAMPLES = 16
"""Pages that are looked at in TensorBoard."""


def train(
    prepared: str | Path,
    out: str | Path,
    settings: PretrainSettings,
    logs: str | Path,
    profile: bool = False,
) -> PretrainingModel:
    """Trains, or goes on with an interrupted training of the same settings.

    A training that is killed at any moment and taken up ends with the weights and the record of one
    that nobody disturbed, bit for bit where operations are deterministic.

    Args:
        prepared: folder that ``prepare`` wrote.
        out: folder of this run; holds checkpoints while training, then model.keras,
            settings.json, and training.json: held-out intention retrieval after each epoch, the
            best one, alarms.
        settings: the run's settings.
        logs: TensorBoard folder.
        profile: also write a TensorFlow profile of a few steps there.

    Returns:
        The trained model, saved in ``out``.

    Raises:
        InputError: settings that cannot work, or that are not those ``out`` was begun with.
    """
    devices = Devices(settings.devices)
    with devices.strategy.scope():
        return _train(Path(prepared), Path(out), settings, Path(logs), profile, devices)


def _train(
    prepared: Path,
    out: Path,
    settings: PretrainSettings,
    logs: Path,
    profile: bool,
    devices: Devices,
) -> PretrainingModel:
    manifest = read_manifest(prepared)
    record = Record(settings, manifest)
    if record.is_done(out, _MODEL):
        shutil.rmtree(out / "checkpoints", ignore_errors=True)
        return load(out)
    if not manifest["splits"]["pretrain"]["records"]:
        raise InputError(f"{prepared}: no page view before the first cut; raise prepare.splits")
    timestamps = read_pages(prepared).timestamp
    cut = cut_of(timestamps, settings.holdout)
    steps = batch_count(int((timestamps < cut).sum()), settings.batch_size)
    with restorable_randomness(settings.seed):
        model = build_model(settings, prepared, cut)
    optimizer = build_optimizer(settings, steps * settings.epochs, model.head_variables)
    model.compile(optimizer=optimizer, jit_compile=False)

    stopping = None
    if settings.early_stopping is not None:
        stopping = EarlyStopping(model, record, settings.early_stopping, settings.epochs)
    checkpoints = Checkpoints(
        model,
        out / "checkpoints",
        # By the clock, no two processes would save at the same batch.
        math.inf if devices.in_step else settings.checkpoint_seconds,
        record,
        stopping.variables if stopping else (),
    )
    done = checkpoints.restore()
    checkpoints.folder = devices.folder(checkpoints.folder)
    out, logs = devices.folder(out), devices.folder(logs)
    if not done:
        shutil.rmtree(logs, ignore_errors=True)
        _start_output_layer(model, prepared, settings, cut)
    profiler = Profile(logs) if profile else None
    callbacks = _watchers(prepared, settings, cut, record, logs, devices)
    for callback in callbacks:
        if isinstance(callback, BatchValues):
            callback.take_up(checkpoints.means(), done % steps)
    callbacks += [callback for callback in (stopping, profiler) if callback]
    with TrainingProgress(steps * settings.epochs, done) as progress:
        while done < steps * settings.epochs and not record.values["stopped"]:
            epoch, batch = divmod(done, steps)

            def read(
                context: tf.distribute.InputContext | None, epoch: int = epoch, batch: int = batch
            ) -> tf.data.Dataset:
                dataset = pages(
                    prepared,
                    batch_size=settings.batch_size,
                    image_size=settings.image_size,
                    seed=settings.seed,
                    flip=settings.flip,
                    first_epoch=epoch,
                    first_batch=batch,
                    before=cut,
                    titles=model.needs_titles,
                    input_context=context,
                )
                return dataset if batch else dataset.repeat()

            # An epoch taken up in its middle is finished on its own, the others go in one fit.
            last = epoch + 1 if batch else settings.epochs
            model.fit(
                devices.read(read),
                initial_epoch=epoch,
                epochs=last,
                steps_per_epoch=steps - batch,
                callbacks=[*callbacks, progress, checkpoints],
                verbose=0,
            )
            done = last * steps
    if profiler:
        profiler.stop()
    if stopping:
        stopping.restore_best()
    record.write(out)
    beside = out / f"{_SETTINGS}.new"
    beside.write_text(json.dumps(asdict(settings), indent=1))
    os.replace(beside, out / _SETTINGS)
    beside = out / f"partial.{_MODEL}"
    model.save(beside)
    os.replace(beside, out / _MODEL)
    checkpoints.remove()
    return model


def load(folder: str | Path) -> PretrainingModel:
    """The model that ``train`` saved in ``folder``.

    Raises:
        InputError: there is none.
    """
    path = Path(folder) / _MODEL
    if not path.is_file():
        raise InputError(
            f"{path}: no such file; name the folder of a finished training, such as "
            "RUN/pretrain/courier of tfrec-vis run"
        )
    return keras.models.load_model(path, compile=False)


def _watchers(
    prepared: Path,
    settings: PretrainSettings,
    cut: int,
    record: Record,
    logs: Path,
    devices: Devices,
) -> list[keras.callbacks.Callback]:
    """Callbacks that measure and show; those that use what others measured come later."""
    callbacks: list[keras.callbacks.Callback] = []
    if settings.holdout:
        held_out = pages(
            prepared,
            batch_size=_HELD_OUT,
            image_size=settings.image_size,
            shuffle=False,
            since=cut,
            decode_ahead=None,
        )

        def keep(epoch: int, logs: dict[str, float]) -> None:
            values = {name: value for name, value in logs.items() if name.startswith("val_")}
            record.values["holdout"].append(values)

        callbacks += [
            IntentionRetrieval(held_out),
            keras.callbacks.LambdaCallback(on_epoch_end=keep),
        ]
    size = settings.image_size or read_manifest(prepared)["settings"]["image_size"]
    examples = sample_pages(prepared, size, _EXAMPLES, cut if settings.holdout else None)
    if settings.holdout and not len(examples["item_index"]):
        raise InputError(
            "pretrain.holdout: no held-out page has a click and a history; raise it, or set it "
            "to 0 together with pretrain.early_stopping=null"
        )
    writer = tf.summary.create_file_writer(str(logs))
    # They look by the clock, and the other processes would have to look, too.
    if len(examples["item_index"]) and not devices.in_step:
        callbacks.append(Examples(writer, examples))
    return [*callbacks, Curves(writer), Alarms(record)]


def _start_output_layer(
    model: PretrainingModel, prepared: str | Path, settings: PretrainSettings, cut: int
) -> None:
    manifest = read_manifest(prepared)
    catalogue = read_items(prepared, pictures=False)
    before = cut if settings.holdout else manifest["cuts"][0]
    early = np.flatnonzero((catalogue.first_seen >= 0) & (catalogue.first_seen < before))
    sample = np.random.default_rng(settings.seed).permutation(early)[:_SAMPLE]
    size = settings.image_size or manifest["settings"]["image_size"]
    images = tf.data.Dataset.from_tensor_slices(read_pictures(prepared, sample))
    images = images.map(lambda one: decode_letterboxed(one, size)).batch(128)
    encode = tf.function(
        lambda batch: model.encoder(batch, training=False),
        autograph=False,
        input_signature=[tf.TensorSpec([None, size, size, 3], tf.uint8)],
    ).get_concrete_function()
    features = np.concatenate([encode(batch).numpy() for batch in images])
    try:
        model.start_from(features.astype(np.float32))
    except ValueError as error:
        raise InputError(f"pretrain.embedding_dim: {error}") from error
