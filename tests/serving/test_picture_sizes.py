from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfrec_vis.serving.picture_sizes import MAX_PIXELS, check_sizes, picture_sizes

SIZES = [(1, 1), (300, 7), (65, 258)]


@tf.function(autograph=False, input_signature=[tf.TensorSpec([None], tf.string)])
def checked(image_bytes: tf.Tensor) -> tf.Tensor:
    with tf.control_dependencies([check_sizes(picture_sizes(image_bytes))]):
        return tf.size(image_bytes)


def encoded(kind: str, width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(file, kind)
    return file.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that has nothing but its header."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n\0\0\0\r" + body + struct.pack(">I", zlib.crc32(body))


def jpeg_header(width: int, height: int) -> bytes:
    small = encoded("JPEG", 1, 1)
    at = small.index(b"\xff\xc0") + 5
    return small[:at] + struct.pack(">HH", height, width) + small[at + 4 :]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP"])
def test_sizes_are_those_of_the_pictures(kind: str) -> None:
    pictures = [encoded(kind, *size) for size in SIZES]
    sizes = picture_sizes(tf.constant(pictures))
    np.testing.assert_array_equal(sizes, [(height, width) for width, height in SIZES])


def test_mixed_odd_and_none() -> None:
    upside_down = bytearray(encoded("BMP", 30, 20))
    upside_down[22:26] = struct.pack("<i", -20)
    pictures = [b"", b"BM", b"\x89PNG", encoded("GIF", 3, 5), bytes(upside_down), b"text"]
    none = [0, 0]
    expected = [none, none, none, [5, 3], [20, 30], none]
    np.testing.assert_array_equal(picture_sizes(tf.constant(pictures)), expected)
    assert picture_sizes(tf.constant([], tf.string)).shape == (0, 2)


def test_too_large_ones_are_refused_by_their_positions() -> None:
    wide = 10_000
    high = MAX_PIXELS // wide
    checked(tf.constant([png_header(wide, high), jpeg_header(wide, high)]))
    checked(tf.constant([], tf.string))
    bitmap = b"BM" + b"\0" * 16 + struct.pack("<ii", wide, -high - 1)
    pictures = [
        encoded("PNG", 2, 2),
        png_header(wide, high + 1),
        jpeg_header(wide, high + 1),
        encoded("JPEG", 2, 2),
        b"GIF89a" + struct.pack("<HH", wide, high + 1),
        bitmap,
        png_header(2**32 - 1, 2**32 - 1),  # more than an int64 holds
    ]
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"at most 50000000 [\s\S]*1 2 4 5 6\]"
    ):
        checked(tf.constant(pictures))


def test_a_jpeg_without_a_size_is_refused() -> None:
    with pytest.raises(tf.errors.InvalidArgumentError):
        checked(tf.constant([b"\xff\xd8\xff"]))
