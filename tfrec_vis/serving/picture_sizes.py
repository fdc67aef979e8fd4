"""How large pictures are, by what their headers say."""

from __future__ import annotations

import tensorflow as tf

MAX_PIXELS = 50_000_000
"""Pixels of a picture that exports decode, as ``prepare.max_pixels`` is by default: a file of some
kilobytes may say that it has hundreds of millions, which take gigabytes."""
JPEG = b"\xff\xd8\xff"
"""What JPEG files begin with."""
_HEADER = 26
"""Bytes within which PNG, GIF and BMP give their sizes."""


def check_sizes(sizes: tf.Tensor) -> tf.Operation:
    """Fails with InvalidArgument, naming their positions, where pictures are too large to decode.

    Args:
        sizes: what ``picture_sizes`` gives.
    """
    large = tf.reduce_prod(sizes, axis=1) > MAX_PIXELS
    message = f"expected pictures of at most {MAX_PIXELS} pixels; larger at positions:"
    return tf.debugging.Assert(
        ~tf.reduce_any(large), [message, tf.where(large)[:, 0]], summarize=10
    )


def picture_sizes(image_bytes: tf.Tensor) -> tf.Tensor:
    """Height and width as the headers of pictures say, without decoding: float64 [n, 2].

    Args:
        image_bytes: string [n], JPEG, PNG, GIF or BMP; 0 for anything else. What begins like a JPEG
            and has no size fails with InvalidArgument.
    """
    padded = tf.strings.join([tf.strings.substr(image_bytes, 0, _HEADER), b"\0" * _HEADER])
    header = tf.io.decode_raw(tf.strings.substr(padded, 0, _HEADER), tf.uint8)
    header = tf.cast(tf.reshape(header, [-1, _HEADER]), tf.float64)

    def number(first: int, size: int, big_endian: bool = False) -> tf.Tensor:
        powers = [256.0**i for i in range(size)]
        weights = tf.constant(powers[::-1] if big_endian else powers, tf.float64)
        return tf.linalg.matvec(header[:, first : first + size], weights)

    rows = number(22, 4)
    kinds = {
        b"\x89PNG": tf.stack([number(20, 4, True), number(16, 4, True)], axis=1),
        b"GIF8": tf.stack([number(8, 2), number(6, 2)], axis=1),
        # Signed: pictures from top to bottom have a negative height.
        b"BM": tf.stack([tf.minimum(rows, 2.0**32 - rows), number(18, 4)], axis=1),
        JPEG: tf.map_fn(
            _jpeg_size, image_bytes, fn_output_signature=tf.TensorSpec([2], tf.float64)
        ),
    }
    sizes = tf.zeros_like(kinds[JPEG])
    for first, found in kinds.items():
        is_kind = tf.strings.substr(image_bytes, 0, len(first)) == first
        sizes = tf.where(is_kind[:, tf.newaxis], found, sizes)
    return sizes


def _jpeg_size(image_bytes: tf.Tensor) -> tf.Tensor:
    """Of one picture; 0 where it is no JPEG."""
    return tf.cond(
        tf.strings.substr(image_bytes, 0, len(JPEG)) == JPEG,
        lambda: tf.cast(tf.io.extract_jpeg_shape(image_bytes)[:2], tf.float64),
        lambda: tf.zeros([2], tf.float64),
    )
