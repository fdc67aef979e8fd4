from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras

from tfrec_vis import encoders

FEATURES = {
    "efficientnet_lite0": 1280,
    "mobilenet_v3_small": 576,
    "resnet_18": 512,
    "swin_micro": 192,
    "swin_tiny": 768,
}
SLOW = ("resnet_18", "swin_tiny")


def test_all_encoders_are_tested():
    assert encoders.names() == sorted(FEATURES)


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in encoders.names()],
)
def test_encoder(name, tmp_path):
    """Builds, embeds pictures that are not square, takes uint8 and floats, saves and loads."""
    encoder = encoders.get(name)
    assert encoder.output_shape == (None, FEATURES[name])
    pictures = np.random.default_rng(0).integers(0, 256, (3, 64, 48, 3)).astype(np.uint8)
    features = encoder(pictures, training=False).numpy()
    assert features.shape == (3, FEATURES[name]) and features.dtype == np.float32
    assert np.isfinite(features).all() and features.std(axis=0).max() > 0
    from_floats = encoder(pictures.astype(np.float32), training=False)
    np.testing.assert_allclose(from_floats, features, atol=1e-6)
    encoder.save(tmp_path / "encoder.keras")
    again = keras.models.load_model(tmp_path / "encoder.keras")
    np.testing.assert_allclose(again(pictures, training=False), features, atol=1e-6)


def test_unknown_encoder_names_the_nearest():
    with pytest.raises(ValueError, match="unknown encoder 'swin_tini'; did you mean 'swin_tiny'?"):
        encoders.get("swin_tini")
    with pytest.raises(ValueError, match="unknown encoder 'xyz'; known: efficientnet_lite0, .*"):
        encoders.weight_sets("xyz")


def test_unknown_weights_say_what_is_known(tmp_path):
    message = "no weights 'imagenet' for encoder 'swin_micro': known none by name, or a file"
    with pytest.raises(ValueError, match=message):
        encoders.get("swin_micro", weights="imagenet")
    missing = tmp_path / "none.weights.h5"
    with pytest.raises(ValueError, match="for encoder 'efficientnet_lite0': known 'imagenet', or"):
        encoders.get("efficientnet_lite0", weights=missing)


def test_weights_from_a_file(tmp_path):
    first = encoders.get("swin_micro")
    path = tmp_path / "trained.weights.h5"
    first.save_weights(path)
    pictures = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)
    second = encoders.get("swin_micro", weights=path)  # other random weights, were they kept
    np.testing.assert_array_equal(second(pictures), first(pictures))


@pytest.mark.parametrize(("freeze_bn", "frozen"), [(None, False), (True, True)])
def test_frozen_batch_norm(freeze_bn, frozen):
    encoder = encoders.get("mobilenet_v3_small", freeze_bn=freeze_bn)
    norms = [m for m in encoder.submodules if isinstance(m, keras.layers.BatchNormalization)]
    assert norms and all(norm.trainable is not frozen for norm in norms)
    before = [norm.moving_mean.numpy() for norm in norms]
    encoder(np.full((2, 32, 32, 3), 200, np.uint8), training=True)
    after = [norm.moving_mean.numpy() for norm in norms]
    assert all(np.array_equal(b, a) for b, a in zip(before, after, strict=True)) is frozen
