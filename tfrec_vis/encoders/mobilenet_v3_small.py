"""MobileNetV3-Small."""

from __future__ import annotations

import tf_keras as keras

from tfrec_vis.encoders.ends import features_out, pictures_in


def mobilenet_v3_small() -> keras.Model:
    """MobileNetV3-Small of tf_keras.applications, random weights: 0.9 M parameters, 576 features.

    Returns:
        Pictures [n, h, w, 3] in 0..255 -> features [n, 576].

    Source: Howard et al., Searching for MobileNetV3 (arXiv 1905.02244).
    """
    pictures, x = pictures_in()
    backbone = keras.applications.MobileNetV3Small(input_tensor=x, include_top=False, weights=None)
    features = features_out(backbone.output, pictures)
    return keras.Model(pictures, features, name="mobilenet_v3_small")
