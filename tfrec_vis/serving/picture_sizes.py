"""How large pictures are, by what their headers say."""

from __future__ import annotations

import tensorflow as tf

MAX_PIXELS = 50_000_000
"""Pixels of a picture that exports decode, as ``prepare.max_pixels`` is by default: a file of some
kilobytes may say that it has hundreds of millions, which take gigabytes."""
_HEADER = 26
"""Bytes within which PNG, GIF and BMP give their sizes."""


def check_sizes(image_bytes: tf.Tensor) -> tf.Operation:
    """Fails with InvalidArgument, naming their positions, where pictures are too large to decode.

    Args:
        image_bytes: string [n], bytes that begin as JPEG, PNG, GIF or BMP files do. A JPEG without
            a size fails too.
    """
    large = pixel_counts(image_bytes) > MAX_PIXELS
    message = f"expected pictures of at most {MAX_PIXELS} pixels; larger at positions:"
    return tf.debugging.Assert(
        ~tf.reduce_any(large), [message, tf.where(large)[:, 0]], summarize=10
    )


def pixel_counts(image_bytes: tf.Tensor) -> tf.Tensor:
    """Width times height as the headers of pictures say, without decoding: float64 [n].

    Args:
        image_bytes: string [n], JPEG, PNG, GIF or BMP; 0 for anything else.
    """
    padded = tf.strings.join([tf.strings.substr(image_bytes, 0, _HEADER), b"\0" * _HEADER])
    header = tf.io.decode_raw(tf.strings.substr(padded, 0, _HEADER), tf.uint8)
    header = tf.cast(tf.reshape(header, [-1, _HEADER]), tf.float64)

    def number(first: int, size: int, big_endian: bool = False) -> tf.Tensor:
        powers = [256.0**i for i in range(size)]
        weights = tf.constant(powers[::-1] if big_endian else powers, tf.float64)
        return tf.linalg.matvec(header[:, first : first + size], weights)

    rows = number(22, 4)
    sizes = {
        b"\x89PNG": number(16, 4, True) * number(20, 4, True),
        b"GIF8": number(6, 2) * number(8, 2),
        # Signed: pictures from top to bottom have a negative height.
        b"BM": number(18, 4) * tf.minimum(rows, 2.0**32 - rows),
        b"\xff\xd8\xff": tf.map_fn(_jpeg_pixels, image_bytes, fn_output_signature=tf.float64),
    }
    counts = tf.zeros_like(rows)
    for first, pixels in sizes.items():
        counts = tf.where(tf.strings.substr(image_bytes, 0, len(first)) == first, pixels, counts)
    return counts


def _jpeg_pixels(image_bytes: tf.Tensor) -> tf.Tensor:
    """Of one picture; 0 where it is no JPEG."""
    return tf.cond(
        tf.strings.substr(image_bytes, 0, 3) == b"\xff\xd8\xff",
        lambda: tf.reduce_prod(tf.cast(tf.io.extract_jpeg_shape(image_bytes)[:2], tf.float64)),
        lambda: tf.zeros([], tf.float64),
    )
