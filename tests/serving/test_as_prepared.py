"""A photo in a request becomes what ``prepare`` would have stored of it."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfrec_vis.prepare.images import shrink_image
from tfrec_vis.serving.as_prepared import as_prepared
from tfrec_vis.serving.picture_sizes import picture_sizes

SIZE, QUALITY = 48, 90


@tf.function(autograph=False, input_signature=[tf.TensorSpec([None], tf.string)])
def shrunk(image_bytes: tf.Tensor) -> tf.Tensor:
    return as_prepared(image_bytes, picture_sizes(image_bytes), SIZE, QUALITY)


def photo(kind: str, width: int, height: int) -> bytes:
    """Edges, surfaces and fine stripes, which each way of shrinking treats in its own way."""
    x, y = np.meshgrid(np.arange(width) / width, np.arange(height) / height)
    waves = [np.sin(40 * x * (1 + y)), np.sign(np.sin(9 * x + 14 * y)), np.cos(70 * y)]
    pixels = np.uint8(127.5 + 120 * np.stack(waves, axis=2))
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **({"quality": 95} if kind == "JPEG" else {}))
    return file.getvalue()


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)), np.float64)


@pytest.mark.parametrize(
    ("kind", "width", "height"),
    [
        ("JPEG", 90, 61),
        ("JPEG", 61, 150),
        ("JPEG", 230, 199),  # decoded at a half, below at a quarter and at an eighth
        ("JPEG", 200, 480),
        ("JPEG", 997, 700),
        ("PNG", 300, 50),
        ("BMP", 49, 47),
        ("JPEG", 400, 2),
    ],
)
def test_is_what_prepare_stores(kind: str, width: int, height: int) -> None:
    data = photo(kind, width, height)
    (found,) = shrunk(tf.constant([data])).numpy()
    stored = shrink_image(data, SIZE, 10**7, QUALITY)
    assert found[:3] == b"\xff\xd8\xff" and pixels(found).shape == pixels(stored).shape
    # Shrunk pixels differ by one here and there, which rounding in JPEG spreads.
    difference = np.abs(pixels(found) - pixels(stored)).mean()
    plain = tf.image.resize(pixels(data), pixels(stored).shape[:2], antialias=True)
    assert difference < min(2.5, np.abs(plain - pixels(stored)).mean() / 4)


def test_small_ones_stay_and_any_number_goes() -> None:
    small = [photo("JPEG", SIZE, 20), photo("PNG", 3, SIZE)]
    assert shrunk(tf.constant(small)).numpy().tolist() == small
    assert shrunk(tf.constant([], tf.string)).shape == (0,)
