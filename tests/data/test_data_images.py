from __future__ import annotations

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from tfrec_vis.data import decode_letterboxed, decode_letterboxed_batch


def smooth_picture(width, height):
    """Slow waves of colour: no resampling filter changes them much."""
    x, y = np.meshgrid(np.linspace(0, 3, width), np.linspace(0, 3, height))
    waves = np.stack([np.sin(x + y), np.cos(2 * x), np.sin(y)], axis=-1)
    return Image.fromarray(((waves + 1) * 120).astype(np.uint8))


def encoded(picture, kind="PNG"):
    out = io.BytesIO()
    picture.save(out, kind)
    return out.getvalue()


def on_white_square(picture, size):
    square = Image.new("RGB", (size, size), "white")
    square.paste(picture, ((size - picture.width) // 2, (size - picture.height) // 2))
    return np.asarray(square)


@pytest.mark.parametrize("width, height", [(32, 32), (32, 20), (11, 32), (32, 1), (31, 32)])
def test_a_picture_that_fits_is_padded_exactly(width, height):
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)
    picture = Image.fromarray(noise)
    result = decode_letterboxed(encoded(picture), 32)
    assert result.dtype == tf.uint8 and result.shape == (32, 32, 3)
    np.testing.assert_array_equal(result, on_white_square(picture, 32))


@pytest.mark.parametrize("width, height", [(100, 60), (60, 100), (64, 64), (16, 10), (200, 3)])
def test_other_pictures_keep_their_proportions(width, height):
    picture = smooth_picture(width, height)
    result = decode_letterboxed(encoded(picture), 32).numpy()
    scale = 32 / max(width, height)
    target = tuple(max(round(side * scale), 1) for side in (width, height))
    resized = picture.resize(target, Image.Resampling.BILINEAR)
    difference = np.abs(result.astype(int) - on_white_square(resized, 32))
    assert difference.max() <= 3


def test_shrinking_is_antialiased():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    result = decode_letterboxed(encoded(Image.fromarray(stripes)), 16).numpy()
    assert result[:, 2:-2].min() > 100 and result[:, 2:-2].max() < 156


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP", "JPEG"])
def test_formats_and_modes(kind):
    grey = ImageOps.grayscale(smooth_picture(32, 32))
    result = decode_letterboxed(encoded(grey, kind), 32).numpy().astype(int)
    assert result.shape == (32, 32, 3)
    assert np.abs(result - np.asarray(grey)[..., None]).max() <= (6 if kind == "JPEG" else 0)


def test_a_batch_is_each_on_its_own():
    pictures = [encoded(smooth_picture(*size)) for size in [(40, 30), (32, 32), (10, 90)]]
    together = decode_letterboxed_batch(tf.constant(pictures), 24)
    for one, result in zip(pictures, together, strict=True):
        np.testing.assert_array_equal(decode_letterboxed(one, 24), result)
    none = decode_letterboxed_batch(tf.constant([], tf.string), 24)
    assert none.shape == (0, 24, 24, 3) and none.dtype == tf.uint8


@pytest.mark.parametrize("size", [(32, 32), (32, 20), (7, 32), (90, 41), (10, 16)])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_known_jpegs_give_the_same_pixels(size, mode):
    noise = np.random.default_rng(1).integers(0, 256, (*size, 3)).astype(np.uint8)
    stored = encoded(Image.fromarray(noise).convert(mode), "JPEG")
    np.testing.assert_array_equal(
        decode_letterboxed(stored, 32, jpeg=True), decode_letterboxed(stored, 32)
    )


def test_what_is_no_picture_is_refused():
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode_letterboxed(b"not a picture", 32)
