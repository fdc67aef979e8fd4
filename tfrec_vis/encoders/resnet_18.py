"""ResNet-18 (v2)."""

from __future__ import annotations

import tf_keras as keras


def resnet_18() -> keras.Model:
    """ResNet-18 v2, KerasCV's generic backbone with explicit settings: 11.2 M parameters.

    Random weights, 512 features.

    Returns:
        Pictures [n, h, w, 3] in 0..255 -> features [n, 512].

    Source: He et al., Identity mappings in deep residual networks (arXiv 1603.05027).
    """
    import keras_cv

    backbone = keras_cv.models.ResNetV2Backbone(
        stackwise_filters=[64, 128, 256, 512],
        stackwise_blocks=[2, 2, 2, 2],
        stackwise_strides=[1, 2, 2, 2],
        block_type="basic_block",
        include_rescaling=True,
        input_shape=(None, None, 3),
    )
    features = keras.layers.GlobalAveragePooling2D(name="pooling", dtype="float32")(backbone.output)
    return keras.Model(backbone.input, features, name="resnet_18")
