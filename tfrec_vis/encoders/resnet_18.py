"""ResNet-18 (v2)."""

from __future__ import annotations

import tf_keras as keras

from tfrec_vis.encoders.ends import features_out, pictures_in
from tfrec_vis.encoders.library_backbone import LibraryBackbone


def resnet_18() -> keras.Model:
    """ResNet-18 v2, KerasCV's generic backbone with our defaults for it: 11.2 M parameters.

    Random weights, 512 features.

    Returns:
        Pictures [n, h, w, 3] in 0..255 -> features [n, 512].

    Source: He et al., Identity mappings in deep residual networks (arXiv 1603.05027).
    """
    pictures, x = pictures_in()
    x = LibraryBackbone("keras_cv:ResNetV2Backbone", name="backbone")(x)
    return keras.Model(pictures, features_out(x, pictures), name="resnet_18")
