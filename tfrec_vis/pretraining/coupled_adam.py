"""Adam with coupled weight decay, as the released code of COURIER trains."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras


@keras.saving.register_keras_serializable(package="tfrec_vis")
class CoupledAdam(keras.optimizers.Adam):
    """Adam on the gradient of loss + decay / 2 |w|^2, which AdamW takes apart.

        g <- g + decay w,   then Adam's step

    Adam divides the decay by the gradient's size as well: weights with large gradients are
    decayed less.

    Args:
        learning_rate: as Adam's.
        decay: weight of the squared norm.

    Source: PyTorch's ``Adam(weight_decay=...)``; the difference: Loshchilov and Hutter, Decoupled
    weight decay regularization (arXiv 1711.05101).
    """

    def __init__(self, learning_rate: Any = 1e-3, decay: float = 0.0, **kwargs: Any) -> None:
        super().__init__(learning_rate, **kwargs)
        self.coupled_decay = decay

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        """One step of one variable."""
        super().update_step(gradient + self.coupled_decay * variable, variable)

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "decay": self.coupled_decay}
