"""Backbones of tf_keras.applications and KerasCV as encoders."""

from __future__ import annotations

import functools
import inspect
import json
from typing import Any

import tensorflow as tf
import tf_keras as keras

from tfrec_vis.encoders.ends import features_out, pictures_in
from tfrec_vis.encoders.keras_cv_backbones import DEFAULTS, REFUSED
from tfrec_vis.encoders.weights_error import WeightsError

APPLICATIONS, KERAS_CV = "keras_applications", "keras_cv"
# NASNets are built for a size whatever they say.
_SIZES = {"NASNetLarge": [331, 331, 3], "NASNetMobile": [224, 224, 3]}


@functools.cache
def backbone_names() -> tuple[str, ...]:
    """``LIBRARY:NAME`` of every backbone that ``library_encoder`` builds."""
    functions = inspect.getmembers(keras.applications, inspect.isfunction)
    applications = [f"{APPLICATIONS}:{name}" for name, _ in functions]
    return (*applications, *(f"{KERAS_CV}:{name}" for name in DEFAULTS))


def library_encoder(
    name: str, weights: str | None = None, arguments: dict[str, Any] | None = None
) -> keras.Model:
    """A backbone of another library with its own preprocessing and one global mean.

    Args:
        name: one of ``backbone_names()``.
        weights: None, or "imagenet" for tf_keras.applications, which downloads them.
        arguments: as in ``LibraryBackbone``.

    Returns:
        Pictures [n, h, w, 3] in 0..255 -> features [n, channels of the backbone].

    Raises:
        ValueError: unknown name, or arguments that the backbone does not take.
    """
    pictures, x = pictures_in()
    backbone = LibraryBackbone(name, arguments, weights, name="backbone")
    features = features_out(backbone(x), pictures)
    return keras.Model(pictures, features, name=name.replace(":", "_"))


@keras.saving.register_keras_serializable(package="tfrec_vis")
class LibraryBackbone(keras.layers.Layer):
    """A backbone that is built again from its name: [n, h, w, 3] -> [n, h', w', channels].

    What is saved is the name, the arguments and the weights, not the backbone's own layers, of
    which some (KerasCV's MobileNetV3, CSPDarkNet, MiT) do not load again. One that is built for
    a size (an ``input_shape`` without None) gets its pictures resized to it.

    Args:
        backbone: one of ``backbone_names()``.
        arguments: numbers, texts and lists for the backbone's function or class; for KerasCV
            they replace those of ``keras_cv_backbones.DEFAULTS``.
        weights: None, or "imagenet" for tf_keras.applications.
        freeze_bn: as ``freeze_batch_norm`` does.

    Raises:
        ValueError: unknown name, or arguments that the backbone does not take.
    """

    def __init__(
        self,
        backbone: str,
        arguments: dict[str, Any] | None = None,
        weights: str | None = None,
        freeze_bn: bool = False,
        **kwargs: Any,
    ) -> None:
        # Pictures stay float32 up to the preprocessing: bfloat16 holds 0..255 no finer than 1.
        super().__init__(autocast=False, **kwargs)
        if backbone not in backbone_names():
            raise ValueError(f"expected a backbone such as {backbone_names()[0]}, got {backbone!r}")
        self.backbone = backbone
        self._library, _, self._name_there = backbone.partition(":")
        outside = keras.mixed_precision.global_policy()
        keras.mixed_precision.set_global_policy(self.dtype_policy)
        try:
            # As text: Keras would put a dictionary or list into wrappers that JSON does not know.
            self._arguments = json.dumps(arguments or {})
            # Building is graph code: converting it takes KerasCV from 1 to 20 seconds.
            self.model = tf.autograph.experimental.do_not_convert(self._build_model)(weights)
        except Exception as error:  # a failed download is a plain Exception
            users = isinstance(error, TypeError | ValueError)
            if weights is None and not users:
                raise
            hint = f" (weights {weights!r} are downloaded; a file can be given)" if weights else ""
            kind = ValueError if users else WeightsError
            raise kind(f"{backbone}: {' '.join(str(error).split())}{hint}") from error
        finally:
            keras.mixed_precision.set_global_policy(outside)
        self.freeze_bn = False
        if freeze_bn:
            self.freeze_batch_norm()

    def freeze_batch_norm(self) -> None:
        """Runs batch normalisation on its statistics from now on, also when saved and loaded."""
        self.freeze_bn = True
        for layer in self.model.submodules:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.trainable = False

    def _build_model(self, weights: str | None) -> keras.Model:
        arguments = json.loads(self._arguments)
        if self._library == APPLICATIONS:
            build = getattr(keras.applications, self._name_there)
            sized = {"input_shape": _SIZES[name]} if (name := self._name_there) in _SIZES else {}
            return build(include_top=False, weights=weights, **{**sized, **arguments})
        import keras_cv

        settings = {"include_rescaling": True, **DEFAULTS[self._name_there], **arguments}
        return getattr(keras_cv.models, self._name_there)(**settings)

    @tf.autograph.experimental.do_not_convert
    def call(self, pictures: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """The backbone's last map for pictures in 0..255."""
        x = tf.cast(pictures, tf.float32)
        size = self.model.input_shape[1:3]
        if None not in size:
            x = tf.image.resize(x, size, antialias=True)
        if self._name_there == "CSPDarkNetBackbone":  # joins every other row with the rest
            odd = tf.shape(x)[1:3] % 2
            x = tf.pad(x, [[0, 0], [0, odd[0]], [0, odd[1]], [0, 0]])
        if self._library == APPLICATIONS:
            function = getattr(keras.applications, self._name_there)
            module = function.__module__.rpartition(".")[2]
            x = getattr(keras.applications, module).preprocess_input(x)
        return self.model(x, training=training)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments, without the weights."""
        return {
            **super().get_config(),
            "backbone": self.backbone,
            "arguments": json.loads(self._arguments),
            "freeze_bn": self.freeze_bn,
        }


def refusal(name: str) -> str | None:
    """Why a generic backbone of KerasCV cannot be an encoder."""
    library, _, backbone = name.partition(":")
    return REFUSED.get(backbone) if library == KERAS_CV else None
