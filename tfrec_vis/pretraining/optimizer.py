"""The optimizer of a pre-training run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras

from tfrec_vis.pretraining.methods import is_released
from tfrec_vis.pretraining.settings import PretrainSettings


@keras.saving.register_keras_serializable(package="tfrec_vis")
class Adam(keras.optimizers.AdamW):
    """Adam with decoupled or coupled weight decay, whose gradient's norm can be read.

        g' = g min(1, c / |g|) + l2 w,    w <- w - lr weight_decay w - s lr Adam(g')

    with |g| the norm over all weights together, c ``global_clipnorm`` and s 1 but for the
    weights of ``scale_rate``. ``exclude_from_weight_decay`` holds for both kinds of decay.

    Args:
        learning_rate: a number or a schedule.
        weight_decay: decoupled, as in AdamW.
        l2: coupled: part of the gradient (and so divided by Adam's scale).
        **kwargs: of ``keras.optimizers.AdamW``.

    Attributes:
        gradient_norm: float32 variable, |g| of the last step, before clipping.

    Source: Kingma and Ba (arXiv 1412.6980); Loshchilov and Hutter (arXiv 1711.05101).
    """

    def __init__(
        self,
        learning_rate: Any = 1e-3,
        weight_decay: float = 0.0,
        l2: float = 0.0,
        name: str = "Adam",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, weight_decay, name=name, **kwargs)
        self.l2 = l2
        self._scaled: frozenset[str] = frozenset()
        self._factor = self._now = 1.0
        self.gradient_norm = tf.Variable(
            0.0,
            trainable=False,
            name="gradient_norm",
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )

    @property
    def learning_rate(self) -> Any:
        """The rate now; within the step of a variable, that of the variable."""
        rate = keras.optimizers.AdamW.learning_rate.fget(self)
        return rate if self._now == 1 else rate * self._now

    @learning_rate.setter
    def learning_rate(self, learning_rate: Any) -> None:
        keras.optimizers.AdamW.learning_rate.fset(self, learning_rate)

    def scale_rate(self, factor: float, variables: Iterable[tf.Variable]) -> None:
        """Multiplies the learning rate of some variables (not kept by ``get_config``)."""
        self._scaled = frozenset(self._var_key(variable) for variable in variables)
        self._factor = factor

    def apply_gradients(
        self,
        grads_and_vars: Iterable[tuple[tf.Tensor, tf.Variable]],
        name: str | None = None,
        skip_gradients_aggregation: bool = False,
        **kwargs: Any,
    ) -> tf.Variable:
        """One step; over replicas, with the sum of their gradients."""
        pairs = list(grads_and_vars)
        if not skip_gradients_aggregation and kwargs.pop("experimental_aggregate_gradients", True):
            pairs = list(self.aggregate_gradients(pairs))
        norm = tf.linalg.global_norm([gradient for gradient, _ in pairs])
        self.gradient_norm.assign(tf.cast(norm, tf.float32))
        return super().apply_gradients(pairs, name, skip_gradients_aggregation=True)

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        """The step of one variable."""
        if self.l2 and self._use_weight_decay(variable):
            gradient = tf.convert_to_tensor(gradient) + self.l2 * variable
        self._now = self._factor if self._var_key(variable) in self._scaled else 1.0
        try:
            super().update_step(gradient, variable)
        finally:
            self._now = 1.0

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {**super().get_config(), "l2": self.l2}


def build_optimizer(
    settings: PretrainSettings, steps: int, head: Sequence[tf.Variable] = ()
) -> Adam:
    """The optimizer that the settings ask for.

    Args:
        settings: of the run.
        steps: of the whole training.
        head: the variables of ``head_learning_rate``.
    """
    rate: float | keras.optimizers.schedules.LearningRateSchedule = settings.learning_rate
    if settings.schedule == "cosine":
        warm_up = max(steps // 20, 1)
        rate = keras.optimizers.schedules.CosineDecay(
            settings.learning_rate / warm_up,
            max(steps - warm_up, 1),
            warmup_target=settings.learning_rate,
            warmup_steps=warm_up,
        )
    coupled = settings.weight_decay_kind == "coupled" or is_released(settings)
    optimizer = Adam(
        rate,
        weight_decay=0.0 if coupled else settings.weight_decay,
        l2=settings.weight_decay if coupled else 0.0,
        global_clipnorm=settings.clip_norm,
    )
    optimizer.exclude_from_weight_decay(var_names=["log_temperature"])
    if settings.head_learning_rate is not None:
        optimizer.scale_rate(settings.head_learning_rate / settings.learning_rate, head)
    return optimizer
