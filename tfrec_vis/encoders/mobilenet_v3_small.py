"""MobileNetV3-Small."""

from __future__ import annotations

import tf_keras as keras


def mobilenet_v3_small() -> keras.Model:
    """MobileNetV3-Small of tf_keras.applications, random weights: 0.9 M parameters, 576 features.

    Returns:
        Pictures [n, h, w, 3] in 0..255 -> features [n, 576].

    Source: Howard et al., Searching for MobileNetV3 (arXiv 1905.02244).
    """
    backbone = keras.applications.MobileNetV3Small(
        input_shape=(None, None, 3), include_top=False, weights=None
    )
    features = keras.layers.GlobalAveragePooling2D(name="pooling", dtype="float32")(backbone.output)
    return keras.Model(backbone.input, features, name="mobilenet_v3_small")
