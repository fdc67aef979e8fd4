"""KerasCV's generic backbones of pictures, with small default settings."""

from __future__ import annotations

from typing import Any

_EFFICIENTNET_B0: dict[str, Any] = {
    "width_coefficient": 1.0,
    "depth_coefficient": 1.0,
    "stackwise_kernel_sizes": [3, 3, 5, 3, 5, 5, 3],
    "stackwise_num_repeats": [1, 2, 2, 3, 3, 4, 1],
    "stackwise_input_filters": [32, 16, 24, 40, 80, 112, 192],
    "stackwise_output_filters": [16, 24, 40, 80, 112, 192, 320],
    "stackwise_expansion_ratios": [1, 6, 6, 6, 6, 6, 6],
    "stackwise_strides": [1, 2, 2, 2, 1, 2, 1],
}
_RESNET_18: dict[str, Any] = {
    "stackwise_filters": [64, 128, 256, 512],
    "stackwise_blocks": [2, 2, 2, 2],
    "stackwise_strides": [1, 2, 2, 2],
    "block_type": "basic_block",
}

DEFAULTS: dict[str, dict[str, Any]] = {
    "CSPDarkNetBackbone": {
        "stackwise_channels": [64, 128, 256, 512],
        "stackwise_depth": [1, 3, 3, 1],
    },
    "DenseNetBackbone": {"stackwise_num_repeats": [6, 12, 24, 16]},
    "EfficientNetLiteBackbone": _EFFICIENTNET_B0,
    "EfficientNetV1Backbone": {
        **_EFFICIENTNET_B0,
        "stackwise_squeeze_and_excite_ratios": [0.25] * 7,
    },
    "EfficientNetV2Backbone": {
        "width_coefficient": 1.0,
        "depth_coefficient": 1.0,
        "stackwise_kernel_sizes": [3] * 6,
        "stackwise_num_repeats": [1, 2, 2, 3, 5, 8],
        "stackwise_input_filters": [32, 16, 32, 48, 96, 112],
        "stackwise_output_filters": [16, 32, 48, 96, 112, 192],
        "stackwise_expansion_ratios": [1, 4, 4, 4, 6, 6],
        "stackwise_squeeze_and_excite_ratios": [0, 0, 0, 0.25, 0.25, 0.25],
        "stackwise_strides": [1, 2, 2, 2, 1, 2],
        "stackwise_conv_types": ["fused"] * 3 + ["unfused"] * 3,
    },
    "MiTBackbone": {
        "depths": [2, 2, 2, 2],
        "embedding_dims": [32, 64, 160, 256],
        "input_shape": [224, 224, 3],
    },
    "MobileNetV3Backbone": {
        "stackwise_expansion": [1, 72 / 16, 88 / 24, 4, 6, 6, 3, 3, 6, 6, 6],
        "stackwise_filters": [16, 24, 24, 40, 40, 40, 48, 48, 96, 96, 96],
        "stackwise_kernel_size": [3, 3, 3, 5, 5, 5, 5, 5, 5, 5, 5],
        "stackwise_stride": [2, 2, 1, 2, 1, 1, 1, 1, 2, 1, 1],
        "stackwise_se_ratio": [0.25, None, None] + [0.25] * 8,
        "stackwise_activation": ["relu"] * 3 + ["hard_swish"] * 8,
    },
    "ResNetBackbone": _RESNET_18,
    "ResNetV2Backbone": _RESNET_18,
    "ViTDetBackbone": {
        "input_shape": [224, 224, 3],
        "embed_dim": 192,
        "mlp_dim": 768,
        "num_heads": 3,
        "out_chans": 192,
        "window_size": 7,
    },
}
"""Arguments by class, besides ``include_rescaling=True``: the smallest usual member of each
family. MiT and ViTDet are built for one size of picture."""

REFUSED = {
    "VGG16Backbone": "KerasCV makes it of Keras 3 layers, whose weights tf_keras neither trains "
    "nor saves; take 'keras_applications:VGG16'",
    "VideoSwinBackbone": "it takes videos; take 'swin_tiny'",
}
"""Why the other generic classes cannot be encoders."""
