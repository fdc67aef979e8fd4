"""An exported encoder, called from Python."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf


class PublishedEncoder:
    """The vectors of an exported encoder, as a server would give them.

    Args:
        export: folder of its version.

    Attributes:
        items: pictures that it encoded.
        seconds: how long that took.
    """

    def __init__(self, export: Path) -> None:
        self._module = tf.saved_model.load(str(export))  # holds the variables
        self._encode = self._module.signatures["serving_default"]
        self.items, self.seconds = 0, 0.0

    def __call__(self, image_bytes: Sequence[bytes]) -> np.ndarray:
        """Vectors of pictures [n], JPEG, PNG, GIF or BMP: float32 [n, d], L2-normalised."""
        started = time.monotonic()
        given = tf.constant(list(image_bytes), tf.string, [len(image_bytes)])
        vectors = self._encode(image_bytes=given)["embedding"].numpy()
        self.items += len(vectors)
        self.seconds += time.monotonic() - started
        return vectors
