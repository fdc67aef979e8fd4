"""Photos as ``prepare`` would have stored them, inside a graph."""

from __future__ import annotations

import tensorflow as tf

from tfrec_vis.data.images import decode_picture
from tfrec_vis.serving.picture_sizes import JPEG

_RATIOS = (1, 2, 4, 8)
"""By which a JPEG can be scaled down while it is decoded."""


def as_prepared(
    image_bytes: tf.Tensor, sizes: tf.Tensor, image_size: int, jpeg_quality: int
) -> tf.Tensor:
    """Shrinks pictures as ``prepare`` shrinks those of the catalogue.

    What an encoder makes of a photo hangs on how it was shrunk and compressed: without this the
    vector of a photo is not that of the same photo in the catalogue. EXIF is not read.

    Args:
        image_bytes: string [n], JPEG, PNG, GIF (first frame) or BMP.
        sizes: float64 [n, 2], their heights and widths.
        image_size: pixels that the longer side has at most (``prepare.image_size``).
        jpeg_quality: of what is shrunk, 1 to 100.

    Returns:
        string [n]; pictures that are small enough as they were.
    """

    def one(given: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        picture, longer = given
        return tf.cond(
            longer > image_size,
            lambda: _shrunk(picture, longer, image_size, jpeg_quality),
            lambda: picture,
        )

    longer = tf.reduce_max(sizes, axis=1)
    return tf.map_fn(one, (image_bytes, longer), fn_output_signature=tf.string)


def _shrunk(picture: tf.Tensor, longer: tf.Tensor, size: int, quality: int) -> tf.Tensor:
    ratio = tf.reduce_sum([tf.cast(longer >= 2 * r * size, tf.int32) for r in _RATIOS[1:]])
    pixels = tf.cond(
        tf.strings.substr(picture, 0, len(JPEG)) == JPEG,
        lambda: tf.switch_case(
            ratio, [lambda r=r: tf.io.decode_jpeg(picture, channels=3, ratio=r) for r in _RATIOS]
        ),
        lambda: decode_picture(picture),
    )
    sides = tf.cast(tf.shape(pixels)[:2], tf.float64)
    shape = tf.maximum(tf.cast(tf.round(size * sides / tf.reduce_max(sides)), tf.int32), 1)
    shrunk = tf.image.resize(pixels, shape, "bicubic", antialias=True)
    shrunk = tf.cast(tf.round(tf.clip_by_value(shrunk, 0, 255)), tf.uint8)
    return tf.io.encode_jpeg(shrunk, quality=quality)
