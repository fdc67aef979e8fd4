"""Trains from settings in a process of its own, with two logical CPUs as devices.

``python train_devices.py PREPARED OUT NAME DEVICES [STOP]`` writes OUT/NAME.npz, the weights of
encoder and output layer; ``STOP``: breaks off after so many batches and takes the training up.
With TF_CONFIG, one device each for the processes it names.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"

import tfrec_vis  # noqa: F401  (selects tf_keras)

# isort: split
import numpy as np
import tensorflow as tf
from tensorflow.python.autograph.core import config, config_lib
from tiny_encoder import tiny_encoder

from tfrec_vis.encoders import registry
from tfrec_vis.pretraining import PretrainSettings, train
from tfrec_vis.pretraining.checkpoints import Checkpoints

config.CONVERSION_RULES = (config_lib.DoNotConvert("tf_keras"), *config.CONVERSION_RULES)
SETTINGS = {
    "encoder": "tiny",
    "embedding_dim": 6,
    "num_heads": 2,
    "temperature": 0.3,
    "epochs": 2,
    "batch_size": 96,
    "micro_batch": 20,
    "learning_rate": 1e-2,
    "checkpoint_seconds": 0,
    "flip": False,
}


class Stopped(Exception):
    """The training was broken off."""


def stop_after(batches: int) -> None:
    """Makes the checkpoint callback break the training off once."""
    save, left = Checkpoints.on_train_batch_end, [batches]

    def counted(self: Checkpoints, batch: int, logs: dict | None = None) -> None:
        save(self, batch, logs)
        left[0] -= 1
        if left[0] == 0:
            raise Stopped

    Checkpoints.on_train_batch_end = counted


def main(prepared: str, out: str, name: str, devices: str, stop: str = "") -> None:
    """Trains once, or until it is broken off and then on."""
    if devices == "mirrored":
        parts = [tf.config.LogicalDeviceConfiguration()] * 2
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, parts)
    tf.config.set_visible_devices([], "GPU")
    tf.config.experimental.enable_op_determinism()
    registry._ENCODERS["tiny"] = (tiny_encoder, ())
    settings = PretrainSettings(devices=devices, **SETTINGS)
    worker = json.loads(os.environ.get("TF_CONFIG", "{}")).get("task", {}).get("index", "")
    folder = Path(out) / name
    if stop:
        stop_after(int(stop))
        try:
            train(prepared, folder / "out", settings, folder / "logs")
        except Stopped:
            print(sorted(path.name for path in (folder / "out/checkpoints").iterdir()))
    model = train(prepared, folder / "out", settings, folder / "logs")
    weights = model.encoder.get_weights() + model.output_layer.get_weights()
    np.savez(Path(out) / f"{name}{worker}.npz", *weights)


if __name__ == "__main__":
    main(*sys.argv[1:])
