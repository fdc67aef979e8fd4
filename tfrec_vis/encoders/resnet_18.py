"""ResNet-18 (v2)."""

from __future__ import annotations

import tf_keras as keras

from tfrec_vis.encoders.ends import features_out, pictures_in
from tfrec_vis.encoders.library_backbone import LibraryBackbone


def resnet_18() -> keras.Model:
    """ResNet-18 v2, KerasCV's generic backbone with explicit settings: 11.2 M parameters.

    Random weights, 512 features.

    Returns:
        Pictures [n, h, w, 3] in 0..255 -> features [n, 512].

    Source: He et al., Identity mappings in deep residual networks (arXiv 1603.05027).
    """
    pictures, x = pictures_in()
    settings = {
        "stackwise_filters": [64, 128, 256, 512],
        "stackwise_blocks": [2, 2, 2, 2],
        "stackwise_strides": [1, 2, 2, 2],
        "block_type": "basic_block",
    }
    x = LibraryBackbone("keras_cv:ResNetV2Backbone", settings, name="backbone")(x)
    return keras.Model(pictures, features_out(x, pictures), name="resnet_18")
