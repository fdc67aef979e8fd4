"""Pictures to pixels, the same way in training, embedding and serving."""

from __future__ import annotations

import tensorflow as tf

_WHITE = 255
_PNG = b"\x89PNG"


@tf.autograph.experimental.do_not_convert
def decode_letterboxed(image_bytes: tf.Tensor, image_size: int, jpeg: bool = False) -> tf.Tensor:
    """Decodes one picture and fits it into a white square.

    The picture keeps its proportions; the longer side becomes ``image_size`` (antialiased when
    it shrinks), the rest is white on both sides.

    Transparent parts of a PNG become white.

    Args:
        image_bytes: scalar string, a JPEG, PNG, GIF (first frame) or BMP.
        image_size: side of the square, pixels.
        jpeg: it is a JPEG, as prepared pictures are: the same pixels, a little sooner.

    Returns:
        uint8 [image_size, image_size, 3].
    """
    if jpeg:
        picture = tf.io.decode_jpeg(image_bytes, channels=3)
    else:
        picture = decode_picture(image_bytes)
    # Operations on so small things cost as much as decoding does: there are as few as possible.
    sides = tf.shape(picture)[:2]
    longest = tf.reduce_max(sides)

    def resized() -> tf.Tensor:
        scale = image_size / tf.cast(longest, tf.float32)
        target = tf.cast(tf.round(tf.cast(sides, tf.float32) * scale), tf.int32)
        scaled = tf.image.resize(picture, tf.maximum(target, 1), antialias=True)
        return tf.cast(tf.round(tf.clip_by_value(scaled, 0, 255)), tf.uint8)

    picture = tf.cond(longest == image_size, lambda: picture, resized)
    space = image_size - tf.shape(picture)[:2]
    before = space // 2
    padding = tf.stack([before, space - before], axis=1)
    picture = tf.pad(picture, tf.pad(padding, [[0, 1], [0, 0]]), constant_values=_WHITE)
    return tf.ensure_shape(picture, [image_size, image_size, 3])


@tf.autograph.experimental.do_not_convert
def decode_letterboxed_batch(
    image_bytes: tf.Tensor, image_size: int, jpeg: bool = False
) -> tf.Tensor:
    """``decode_letterboxed`` of each: string [n] -> uint8 [n, image_size, image_size, 3]."""
    return tf.map_fn(
        lambda one: decode_letterboxed(one, image_size, jpeg),
        image_bytes,
        fn_output_signature=tf.TensorSpec([image_size, image_size, 3], tf.uint8),
        parallel_iterations=None if tf.executing_eagerly() else 16,
    )


@tf.autograph.experimental.do_not_convert
def decode_picture(image_bytes: tf.Tensor) -> tf.Tensor:
    """A JPEG, PNG, GIF (first frame) or BMP, a PNG over white: uint8 [h, w, 3]."""
    picture = tf.cond(
        tf.strings.substr(image_bytes, 0, len(_PNG)) == _PNG,
        lambda: _over_white(tf.io.decode_png(image_bytes, channels=4)),
        lambda: tf.io.decode_image(image_bytes, channels=3, expand_animations=False),
    )
    picture.set_shape([None, None, 3])
    return picture


def _over_white(picture: tf.Tensor) -> tf.Tensor:
    """RGBA uint8 [h, w, 4] -> RGB uint8 [h, w, 3] on white."""
    color, alpha = tf.cast(picture[..., :3], tf.float32), tf.cast(picture[..., 3:], tf.float32)
    mixed = (color * alpha + _WHITE * (_WHITE - alpha)) / _WHITE
    return tf.cast(tf.round(mixed), tf.uint8)
