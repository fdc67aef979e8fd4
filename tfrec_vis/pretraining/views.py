"""Random views of pictures for contrast with oneself (SimCLR, SimSiam)."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

Views = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]

_AREA = (0.08, 1.0)
_LOG_RATIO = (-0.2877, 0.2877)
"""Of 3:4 to 4:3."""
_JITTER = {"brightness": 0.8, "contrast": 0.8, "saturation": 0.8, "hue": 0.2}
_SIGMA = (0.1, 2.0)
"""Of pictures of 224 pixels."""


def random_views() -> Views:
    """Makes the function that draws one view of each picture, with SimCLR's augmentations.

    Crops of 8 to 100 % of the area, resized; mirrored with probability 1/2; brightness,
    contrast, saturation and hue changed with probability 0.8 (strength 1: 0.8, 0.8, 0.8, 0.2);
    grey with probability 0.2; blurred with probability 1/2 (sigma 0.1 to 2 at 224 pixels, in
    proportion at other sizes).

    Colours are changed by keras-cv's layers (imported only here, which takes a while). What
    they would draw themselves comes from generators that no checkpoint holds; it is drawn here
    from a seed instead, so that a training taken up again sees the same views. Brightness is a
    factor (keras-cv's is an offset, of which 0.8 leaves half the pictures black or white).

    Returns:
        (pictures [n, h, w, 3] in 0..255, seed int32 [2]) -> uint8 [n, h, w, 3].

    Source: SimCLR (arXiv 2002.05709), appendix A.
    """
    import keras_cv

    side = (0, 255)
    # The seed is used by nothing, but without one determinism of operations refuses the layers.
    common = {"dtype": "float32", "seed": 1}
    contrast = keras_cv.layers.RandomContrast(side, _JITTER["contrast"], **common)
    saturation = keras_cv.layers.RandomSaturation((0.0, 1.0), **common)
    hue = keras_cv.layers.RandomHue(_JITTER["hue"], side, **common)
    grey = keras_cv.layers.Grayscale(3, **common)

    def view(pictures: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        count, draws = tf.shape(pictures)[0], 0

        def uniform(low: float, high: float, *ones: int) -> tf.Tensor:
            nonlocal draws
            draws += 1
            own = tf.random.experimental.stateless_fold_in(seed, draws)
            return tf.random.stateless_uniform([count, *ones], own, low, high)

        def with_probability(share: float, changed: tf.Tensor, otherwise: tf.Tensor) -> tf.Tensor:
            return tf.where(uniform(0, 1, 1, 1, 1) < share, changed, otherwise)

        x = _crop(pictures, uniform)
        x = with_probability(0.5, x[:, :, ::-1], x)
        by = _JITTER["brightness"]
        jittered = tf.minimum(x * uniform(1 - by, 1 + by, 1, 1, 1), 255)
        by = _JITTER["contrast"]
        jittered = contrast.augment_images(jittered, uniform(1 - by, 1 + by, 1, 1, 1))
        by = _JITTER["saturation"]
        factor = uniform(1 - by, 1 + by)  # the layer takes f / (1 + f)
        jittered = saturation.augment_images(jittered / 255, factor / (1 + factor)) * 255
        by = _JITTER["hue"]
        jittered = hue.augment_images(jittered, uniform(-by, by))
        x = with_probability(0.8, jittered, x)
        x = with_probability(0.2, grey.augment_images(x), x)
        scale = tf.cast(tf.shape(pictures)[1], tf.float32) / 224
        x = with_probability(0.5, _blur(x, scale * uniform(*_SIGMA)), x)
        return tf.cast(tf.round(tf.clip_by_value(x, 0, 255)), tf.uint8)

    return view


def _crop(pictures: tf.Tensor, uniform: Callable[..., tf.Tensor]) -> tf.Tensor:
    """A part of each picture, resized to the whole: float32."""
    area, ratio = uniform(*_AREA), tf.exp(uniform(*_LOG_RATIO))
    height = tf.minimum(tf.sqrt(area / ratio), 1.0)
    width = tf.minimum(tf.sqrt(area * ratio), 1.0)
    top, left = uniform(0, 1) * (1 - height), uniform(0, 1) * (1 - width)
    boxes = tf.stack([top, left, top + height, left + width], axis=1)
    size = tf.shape(pictures)[1:3]
    count = tf.shape(pictures)[0]
    return tf.image.crop_and_resize(tf.cast(pictures, tf.float32), boxes, tf.range(count), size)


def _blur(x: tf.Tensor, sigma: tf.Tensor) -> tf.Tensor:
    """Gaussian blur of [n, h, w, c] with a width of its own for each picture: sigma [n]."""

    def weights(length: tf.Tensor) -> tf.Tensor:
        place = tf.range(tf.cast(length, tf.float32))
        distance = place[:, tf.newaxis] - place
        return tf.nn.softmax(-tf.square(distance / sigma[:, tf.newaxis, tf.newaxis]) / 2)

    # As matrices, not as a sum of moved pictures, whose terms TensorFlow adds in any order.
    height, width = tf.unstack(tf.shape(x)[1:3])
    x = tf.einsum("nij,njwc->niwc", weights(height), x)
    return tf.einsum("nij,nhjc->nhic", weights(width), x)
