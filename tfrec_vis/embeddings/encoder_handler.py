"""A trained encoder for Beam's RunInference."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras
from apache_beam.ml.inference.base import ModelHandler

import tfrec_vis.pretraining  # noqa: F401  (registers the classes that a saved model is made of)
from tfrec_vis.data.file_systems import load_file_system
from tfrec_vis.embeddings.encode import jpeg_encoder
from tfrec_vis.errors import InputError

Encode = Callable[[list[bytes]], np.ndarray]


class EncoderHandler(ModelHandler[bytes, np.ndarray, Encode]):
    """Encodes pictures as ``embed`` does, a batch at a time.

    Elements are JPEGs as prepared data hold them, predictions features float32 [d].

    Args:
        trained: folder (or URI) with model.keras and settings.json, such as
            WORK/pretrain/courier.
        image_size: side of the prepared pictures, pixels; taken where the model was trained on
            pictures as prepared.
        batch_size: pictures that a worker holds at once, at most.
        encoded_size: side at which they are encoded, pixels; None: that of the training.
    """

    def __init__(
        self, trained: str, image_size: int, batch_size: int, encoded_size: int | None = None
    ) -> None:
        super().__init__(max_batch_size=batch_size)
        self._trained, self._image_size, self._encoded_size = trained, image_size, encoded_size

    def load_keras_model(self) -> keras.Model:
        """The model itself.

        Raises:
            InputError: it is not there, or cannot be read.
        """
        load_file_system(self._trained)
        path = tf.io.gfile.join(self._trained, "model.keras")
        try:
            if not tf.io.gfile.exists(path):
                raise OSError("no such file")
            return keras.models.load_model(path, compile=False)
        except (tf.errors.OpError, OSError, ValueError) as error:
            raise InputError(
                f"{path}: expected a Keras model that `tfrec-vis pretrain` saved "
                f"({' '.join(str(error).split())})"
            ) from error

    def image_size(self) -> int:
        """Side at which pictures are encoded, pixels.

        Raises:
            InputError: settings.json is not there, or cannot be read.
        """
        load_file_system(self._trained)
        path = tf.io.gfile.join(self._trained, "settings.json")
        try:
            with tf.io.gfile.GFile(path) as file:
                trained = json.load(file)["image_size"]
        except (tf.errors.OpError, KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{path}: expected the settings that pre-training writes beside model.keras; "
                "without them the size of the pictures is not known: copy the whole folder"
            ) from error
        return self._encoded_size or trained or self._image_size

    def load_model(self) -> Encode:
        """What RunInference calls in each worker."""
        return jpeg_encoder(self.load_keras_model(), self.image_size())

    def run_inference(
        self, batch: Sequence[bytes], model: Encode, inference_args: dict[str, Any] | None = None
    ) -> Iterable[np.ndarray]:
        """The features of a batch."""
        return model(list(batch))

    def get_num_bytes(self, batch: Sequence[bytes]) -> int:
        """Bytes of the JPEGs, for RunInference's metrics."""
        return sum(map(len, batch))
