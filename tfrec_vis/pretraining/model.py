"""What the pre-training models share: encoding, the optimizer step, measures."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from tfrec_vis._replicas import joint_batch
from tfrec_vis.data import decode_pictures
from tfrec_vis.pretraining.diagnostics import effective_rank, mean_pairwise_cosine
from tfrec_vis.pretraining.gradient_cache import encode_in_parts, gradients_in_parts
from tfrec_vis.pretraining.join_replicas import Joint, join_replicas
from tfrec_vis.pretraining.replay import Replay

# The steps are graph code as they stand; without do_not_convert AutoGraph would go through all
# of tf_keras underneath them, which takes far longer than tracing.
Batch = dict[str, tf.Tensor]
_ALARMS = ("mean_pairwise_cosine", "effective_rank")


class PretrainingModel(keras.Model):
    """Base of the methods: an encoder under a loss over the distinct pictures of a batch.

        Emb = Dense(encoder(picture))

    over batches of ``data.pages``. Each distinct picture of a batch (each view of it, where a
    method makes several) is encoded once. With ``micro_batch`` the encoder holds that many
    pictures at once: the embeddings are computed first without keeping activations, the loss
    gives their gradients, and a second pass brings these to the weights; the gradient is the
    same.

    As a Keras model: ``fit`` and ``evaluate`` take batches of pages, a call and ``predict``
    take pictures [n, h, w, 3] and give embeddings [n, embedding_dim], not normalised.

    A method gives ``measure``, names what it returns besides the alarms in ``measures``, and may
    have layers of its own (its head) and make other ``pictures`` of a batch.

    Args:
        encoder: pictures [n, h, w, 3] in 0..255 -> features [n, k], e.g. ``encoders.get(...)``.
        embedding_dim: d.
        micro_batch: pictures encoded at once in training; None: all of the batch.

    Source: gradient caching: Gao et al. (arXiv 2101.06983).
    """

    measures: tuple[str, ...] = ("loss",)
    views = 1
    """How often each picture is encoded: what ``pictures`` makes of it."""
    needs_titles = False
    """Whether batches have to be of ``data.pages(..., titles=True)``."""

    def __init__(
        self,
        encoder: keras.Model,
        embedding_dim: int = 256,
        micro_batch: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if micro_batch is not None and micro_batch < 1:
            raise ValueError(f"expected micro_batch of at least 1, or None, got {micro_batch}")
        self.encoder = encoder
        self.embedding_dim = embedding_dim
        self.micro_batch = micro_batch
        # Embeddings stay float32 under mixed precision: they are small and are compared.
        self.output_layer = keras.layers.Dense(embedding_dim, name="embedding", dtype="float32")
        self.output_layer.build(encoder.output_shape)
        self._replay = Replay(encoder)
        self.generators = self._replay.generators  # for checkpoints
        # Every replica reports the measures of the joint batch; Keras would add them up.
        self.distribute_reduction_method = "first"
        names = dict.fromkeys((*self.measures, *_ALARMS))
        self._means = {name: keras.metrics.Mean(name=name) for name in names}

    def measure(self, embeddings: tf.Tensor, batch: Batch, training: bool) -> Batch:
        """The method's loss.

        Args:
            embeddings: [views * u, d], of what ``pictures`` gave, view after view: row
                i + v u is view v of picture i.
            batch: of ``data.pages``, without ``image`` and strings; under a distribution strategy
                the joint batch of all replicas, with ``embeddings`` of all.
            training: whether a training step asks.

        Returns:
            Scalars by the names of ``measures``; the optimizer follows ``loss``.
        """
        raise NotImplementedError

    def numbers(self, batch: Batch) -> Batch:
        """The batch with what ``measure`` needs of its texts as numbers."""
        return batch

    def pictures(self, batch: Batch, training: bool) -> tf.Tensor:
        """What is encoded of a part of a batch: [views * p, h, w, 3], view after view.

        Args:
            batch: a batch whose ``image`` holds p of its pictures, from number ``start`` on;
                the other tensors are those of the whole batch.
            training: whether a training step asks.
        """
        return batch["image"]

    def start_from(self, features: np.ndarray) -> None:
        """Starts the output layer as the principal components of the encoder's features.

            W = V / s,   b = -mean(F) W,   s^2 = the mean of |(F - mean(F)) V|^2

        with V the first d right singular vectors of F - mean(F). The embeddings then begin
        centred, of length about 1, with the geometry of the trained encoder, and attention
        begins even. From a random layer over uncentred features (their mean cosine is far above
        0) the quickest way down for the contrast is to collapse.

        Args:
            features: float32 [n, k], the encoder's features of a sample of items.

        Raises:
            ValueError: n or k is smaller than d.
        """
        if min(features.shape) < self.embedding_dim:
            raise ValueError(
                f"expected features of at least {self.embedding_dim} items and columns for "
                f"embedding_dim={self.embedding_dim}, got {features.shape}"
            )
        mean = features.mean(axis=0)
        components = np.linalg.svd(features - mean, full_matrices=False)[2][: self.embedding_dim]
        # The sign of a component is arbitrary: make its largest entry positive.
        largest = np.abs(components).argmax(axis=1)
        components *= np.sign(components[np.arange(len(components)), largest])[:, None]
        components /= np.sqrt(np.square((features - mean) @ components.T).sum(axis=1).mean())
        self.output_layer.set_weights([components.T, -components @ mean])

    @property
    def body_variables(self) -> list[tf.Variable]:
        """What is trained of the encoder and the output layer: of what gives embeddings."""
        return self.encoder.trainable_variables + self.output_layer.trainable_variables

    @property
    def head_variables(self) -> list[tf.Variable]:
        """What else is trained: what only the loss uses."""
        body = {id(variable) for variable in self.body_variables}
        return [v for v in self.trainable_variables if id(v) not in body]

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The losses and the collapse alarms."""
        return list(self._means.values())

    def call(self, pictures: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Embeds pictures [n, h, w, 3] in 0..255 -> float32 [n, embedding_dim]."""
        return self.output_layer(self.encoder(pictures, training=training))

    @tf.autograph.experimental.do_not_convert
    def train_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """One optimizer step on a batch of pages."""
        batch = self.numbers(batch)
        scaled = getattr(self.optimizer, "get_scaled_loss", lambda value: value)
        body, head = self.body_variables, self.head_variables
        count = tf.shape(batch["item_index"])[0]
        encode = partial(self._encode, batch, training=True)
        if self.micro_batch is None:
            with tf.GradientTape() as tape:
                own = encode(0, None)
        else:
            part = max(self.micro_batch // self.views, 1)
            before = self._replay.keep()
            own = encode_in_parts(encode, count, part, [self.views, self.embedding_dim])
        joint = join_replicas(own, batch)
        with tf.GradientTape() as outer_tape:
            outer_tape.watch(joint.embeddings)
            embeddings, measures = self._measure(joint, training=True)
            loss = scaled(measures["loss"])
        outer, *head_gradients = outer_tape.gradient(
            loss, [joint.embeddings, *head], unconnected_gradients="zero"
        )
        outer = tf.convert_to_tensor(outer)[joint.offset : joint.offset + count]
        if self.micro_batch is None:
            gradients = tape.gradient(
                own, body, output_gradients=outer, unconnected_gradients="zero"
            )
        else:
            self._replay.put_back(before)
            gradients = gradients_in_parts(encode, count, part, body, outer, own)
        # Every replica has the whole gradient of the head, and optimizers add up over replicas.
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        if replicas > 1:
            head_gradients = [tf.convert_to_tensor(g) / replicas for g in head_gradients]
        gradients += head_gradients
        if hasattr(self.optimizer, "get_unscaled_gradients"):
            gradients = self.optimizer.get_unscaled_gradients(gradients)
        self.optimizer.apply_gradients(zip(gradients, body + head, strict=True))
        return self._update(measures, embeddings)

    @tf.autograph.experimental.do_not_convert
    def test_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Losses and alarms of a batch of pages."""
        batch = self.numbers(batch)
        count = tf.shape(batch["item_index"])[0]
        part = max(self.micro_batch // self.views, 1) if self.micro_batch else tf.maximum(count, 1)
        encode = partial(self._encode, batch, training=False)
        own = encode_in_parts(encode, count, part, [self.views, self.embedding_dim])
        embeddings, measures = self._measure(join_replicas(own, batch), training=False)
        return self._update(measures, embeddings)

    @tf.autograph.experimental.do_not_convert
    def predict_step(self, pictures: tf.Tensor) -> tf.Tensor:
        """Embeddings of a batch of pictures."""
        return super().predict_step(pictures)

    def _encode(
        self,
        batch: Batch,
        start: int | tf.Tensor,
        end: tf.Tensor | None,
        training: bool,
    ) -> tf.Tensor:
        """Embeddings of the pictures ``start`` to ``end``: [p, views, d]."""
        part = {**batch, "image": decode_pictures(batch, start, end), "start": start}
        encoded = self(self.pictures(part, training), training=training)
        by_view = tf.reshape(encoded, [self.views, -1, self.embedding_dim])
        return tf.transpose(by_view, [1, 0, 2])

    def _measure(self, joint: Joint, training: bool) -> tuple[tf.Tensor, Batch]:
        """The embeddings [views * u, d] of the joint batch, and what is measured on them."""
        distinct = joint.embeddings
        if joint.distinct is not None:
            distinct = tf.gather(distinct, joint.distinct)
        by_view = tf.transpose(distinct, [1, 0, 2])
        embeddings = tf.reshape(by_view, [-1, self.embedding_dim])
        with joint_batch():
            return embeddings, self.measure(embeddings, joint.batch, training)

    def _update(self, measures: Batch, embeddings: tf.Tensor) -> dict[str, tf.Tensor]:
        detached = tf.stop_gradient(embeddings)
        alarms = {
            "mean_pairwise_cosine": mean_pairwise_cosine(detached),
            "effective_rank": effective_rank(detached),
        }
        for name, value in (alarms | measures).items():
            self._means[name].update_state(value)
        return {name: mean.result() for name, mean in self._means.items()}

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {
            **super().get_config(),
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "embedding_dim": self.embedding_dim,
            "micro_batch": self.micro_batch,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> PretrainingModel:
        """The model that ``get_config`` describes, with new weights."""
        encoder = keras.saving.deserialize_keras_object(config["encoder"], custom_objects)
        return cls(**{**config, "encoder": encoder})
