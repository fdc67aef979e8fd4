from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from tiny_encoder import tiny_encoder

from tfrec_vis.encoders import registry
from tfrec_vis.pretraining import PretrainSettings, load, train


def test_half_precision_trains_with_a_loss_scale(prepared_shop, tmp_path, monkeypatch):
    """``compile`` wraps the optimizer: the model has its policy from its settings."""
    monkeypatch.setitem(registry._ENCODERS, "tiny", (tiny_encoder, ()))
    settings = PretrainSettings(
        encoder="tiny",
        embedding_dim=6,
        num_heads=2,
        epochs=1,
        batch_size=128,
        micro_batch=16,
        learning_rate=1e-2,
        mixed_precision="mixed_float16",
    )
    model = train(prepared_shop, tmp_path / "out", settings, tmp_path / "logs")
    assert isinstance(model.optimizer, keras.mixed_precision.LossScaleOptimizer)
    assert model.encoder.layers[-1].compute_dtype == "float16"
    # At the temperature 0.05 the first gradients times 2^15 are beyond float16.
    steps = int(model.optimizer.iterations)
    assert steps == 4 and 1 <= float(model.optimizer.loss_scale) < 2**15
    assert all(v.dtype == tf.float32 and np.isfinite(v).all() for v in model.trainable_variables)
    pictures = np.full([2, 32, 32, 3], 99, np.uint8)
    np.testing.assert_array_equal(load(tmp_path / "out")(pictures), model(pictures))


@pytest.mark.gpu
def test_half_precision_on_all_gpus(prepared_shop):
    """The step of several GPUs in float16 is close to that of one in float32."""
    from tfrec_vis import encoders
    from tfrec_vis.data import pages
    from tfrec_vis.pretraining import Courier

    gpus = tf.config.list_logical_devices("GPU")
    if not gpus:
        pytest.skip("needs a GPU")
    results = []
    for names, policy in ((["/gpu:0"], "float32"), ([g.name for g in gpus], "mixed_float16")):
        strategy = tf.distribute.MirroredStrategy(names)
        keras.mixed_precision.set_global_policy(policy)
        try:
            keras.utils.set_random_seed(0)
            with strategy.scope():
                model = Courier(encoders.get("swin_micro"), 32, micro_batch=16, chunk_size=64)
                model.compile(optimizer=keras.optimizers.SGD(1e-3))
        finally:
            keras.mixed_precision.set_global_policy("float32")
        dataset = strategy.distribute_datasets_from_function(
            lambda context: pages(
                prepared_shop, batch_size=64, decode_ahead=1, input_context=context
            )
        )
        before = model.evaluate(dataset, steps=2, return_dict=True, verbose=0)
        model.fit(dataset, steps_per_epoch=2, epochs=3, verbose=0)
        assert all(np.isfinite(weight).all() for weight in model.get_weights())
        results.append(before["loss"])
    assert results[1] == pytest.approx(results[0], rel=0.02)
