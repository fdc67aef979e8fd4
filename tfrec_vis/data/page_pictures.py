"""The pictures of a batch of pages: decoded, mirrored, augmented, whole or part by part."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from tfrec_vis.data.images import decode_letterboxed_batch

AUGMENT_AT_ONCE = 256
"""Pictures that an augmentation is given at once."""


def decode_pictures(
    batch: dict[str, tf.Tensor],
    start: int | tf.Tensor = 0,
    end: int | tf.Tensor | None = None,
) -> tf.Tensor:
    """The distinct pictures ``start`` to ``end`` of a batch of ``data.pages``, as pixels.

    Bytes are decoded on the host, whatever device the caller is on.

    Args:
        batch: of ``data.pages``, with ``image``, or with ``image_bytes``, ``flip``, ``blank``.
        start: the first picture.
        end: the one after the last; None: to the end.

    Returns:
        uint8 [end - start, h, w, 3].

    Example:
        >>> import tensorflow as tf, tfrec_vis as tv
        >>> red = tf.io.encode_jpeg(tf.fill([8, 8, 3], tf.constant(200, tf.uint8)))
        >>> blank = tf.fill([1, 16, 16, 3], tf.constant(255, tf.uint8))
        >>> batch = {"image_bytes": tf.stack([red] * 3), "flip": tf.zeros([3], bool)}
        >>> tv.data.decode_pictures(batch | {"blank": blank}, 1).shape.as_list()
        [2, 16, 16, 3]
    """
    if "image_bytes" not in batch:
        return batch["image"][start:end]
    with tf.device("/CPU:0"):
        size = batch["blank"].shape[1]
        # Pictures are JPEGs as prepared, or the PNGs of augmented_png; the operation reads both.
        image = decode_letterboxed_batch(batch["image_bytes"][start:end], size, jpeg=True)
        return mirrored(image, batch["flip"][start:end])


def mirrored(image: tf.Tensor, flip: tf.Tensor) -> tf.Tensor:
    """Pictures [n, h, w, 3], left to right where ``flip``, bool [n]."""
    return tf.where(flip[:, tf.newaxis, tf.newaxis, tf.newaxis], image[:, :, ::-1], image)


def in_blocks(
    image: tf.Tensor, seed: tf.Tensor, augment: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
) -> tf.Tensor:
    """Augments pictures [n, h, w, 3] in blocks of ``AUGMENT_AT_ONCE``, each with its seed."""
    count = tf.shape(image)[0]

    def body(start: tf.Tensor, done: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
        block = augment(image[start : start + AUGMENT_AT_ONCE], _seed_of_block(seed, start))
        return start + AUGMENT_AT_ONCE, done.write(start // AUGMENT_AT_ONCE, block)

    return _joined(count, body, image.dtype, image.shape[1:])


def augmented_png(
    batch: dict[str, tf.Tensor],
    seed: tf.Tensor,
    augment: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
) -> tf.Tensor:
    """What ``in_blocks`` gives for a batch of bytes, as PNG string [u], block after block."""
    count = tf.shape(batch["image_bytes"])[0]

    def body(start: tf.Tensor, done: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
        image = decode_pictures(batch, start, start + AUGMENT_AT_ONCE)
        block = augment(image, _seed_of_block(seed, start))
        png = tf.map_fn(
            lambda one: tf.io.encode_png(one, compression=1),
            block,
            fn_output_signature=tf.TensorSpec([], tf.string),
        )
        return start + AUGMENT_AT_ONCE, done.write(start // AUGMENT_AT_ONCE, png)

    return _joined(count, body, tf.string, tf.TensorShape([]))


def _seed_of_block(seed: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
    """The batch's seed for its first block, others for the next ones."""
    return tf.where(start == 0, seed, tf.random.experimental.stateless_fold_in(seed, start))


def _joined(
    count: tf.Tensor,
    body: Callable[[tf.Tensor, tf.TensorArray], tuple[tf.Tensor, tf.TensorArray]],
    dtype: tf.DType,
    shape: tf.TensorShape,
) -> tf.Tensor:
    blocks = (count + AUGMENT_AT_ONCE - 1) // AUGMENT_AT_ONCE
    done = tf.TensorArray(dtype, blocks, infer_shape=False, element_shape=[None, *shape])
    _, done = tf.while_loop(
        lambda start, _: start < count, body, [tf.constant(0), done], parallel_iterations=1
    )
    return done.concat()
