from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from tfrec_vis import encoders

# Parameters and features: docs/encoders.md has the same numbers.
OWN = {
    "efficientnet_lite0": (3_413_024, 1280),
    "mobilenet_v3_small": (939_120, 576),
    "resnet_18": (11_183_488, 512),
    "swin_micro": (1_267_468, 192),
    "swin_mini": (3_072_750, 256),
    "swin_small": (48_837_258, 768),
    "swin_tiny": (27_519_354, 768),
}
QUICK = ("efficientnet_lite0", "mobilenet_v3_small", "swin_micro")
FAMILIES = {
    "keras_cv:CSPDarkNetBackbone": (4_223_488, 512),
    "keras_cv:DenseNetBackbone": (7_037_504, 1024),
    "keras_cv:EfficientNetLiteBackbone": (3_413_024, 1280),
    "keras_cv:EfficientNetV1Backbone": (4_049_564, 1280),
    "keras_cv:EfficientNetV2Backbone": (5_919_312, 1280),
    "keras_cv:MiTBackbone": (3_319_392, 256),
    "keras_cv:MobileNetV3Backbone": (939_120, 576),
    "keras_cv:ResNetBackbone": (11_186_112, 512),
    "keras_cv:ResNetV2Backbone": (11_183_488, 512),
    "keras_cv:ViTDetBackbone": (5_920_192, 192),
    # One of each module of tf_keras.applications, the smallest.
    "keras_applications:ConvNeXtTiny": (27_820_128, 768),
    "keras_applications:DenseNet121": (7_037_504, 1024),
    "keras_applications:EfficientNetB0": (4_049_571, 1280),
    "keras_applications:EfficientNetV2B0": (5_919_312, 1280),
    "keras_applications:InceptionResNetV2": (54_336_736, 1536),
    "keras_applications:InceptionV3": (21_802_784, 2048),
    "keras_applications:MobileNet": (3_228_864, 1024),
    "keras_applications:MobileNetV2": (2_257_984, 1280),
    "keras_applications:MobileNetV3Small": (939_120, 576),
    "keras_applications:NASNetMobile": (4_269_716, 1056),
    "keras_applications:RegNetX002": (2_336_640, 368),
    "keras_applications:ResNet50": (23_587_712, 2048),
    "keras_applications:ResNetRS50": (33_696_288, 2048),
    "keras_applications:ResNet50V2": (23_564_800, 2048),
    "keras_applications:VGG16": (14_714_688, 512),
    "keras_applications:VGG19": (20_024_384, 512),
    "keras_applications:Xception": (20_861_480, 2048),
}
QUICK_FAMILIES = ("keras_cv:MobileNetV3Backbone", "keras_applications:MobileNet")
ALL = {**OWN, **FAMILIES}


def test_all_encoders_are_tested():
    assert [name for name in encoders.names() if ":" not in name] == sorted(OWN)
    assert [n for n in encoders.names() if n.startswith("keras_cv:")] == sorted(
        name for name in FAMILIES if name.startswith("keras_cv:")
    )
    applications = {
        getattr(keras.applications, n.split(":")[1]).__module__
        for n in FAMILIES
        if n.startswith("keras_applications:")
    }
    known = [n.split(":")[1] for n in encoders.names() if n.startswith("keras_applications:")]
    assert len(known) == 71
    assert {getattr(keras.applications, name).__module__ for name in known} == applications


def test_the_guide_has_the_same_numbers():
    guide = (Path(__file__).parents[2] / "docs/encoders.md").read_text()
    for name, (parameters, features) in ALL.items():
        if not name.startswith("keras_applications:"):
            assert f"| `{name}` | {parameters:,} | {features} |" in guide


def slow_unless(quick, names):
    return [name if name in quick else pytest.param(name, marks=pytest.mark.slow) for name in names]


def random_pictures(n, height=77, width=96):
    pictures = np.random.default_rng(0).integers(0, 256, (n, height, width, 3))
    return pictures.astype(np.uint8)


FROZEN = ("mobilenet_v3_small", "resnet_18", *QUICK_FAMILIES)


def contract_cases():
    cases = [(name, False) for name in ALL] + [(name, True) for name in FROZEN]
    quick = [(name, False) for name in (*QUICK, *QUICK_FAMILIES)]
    quick += [(name, True) for name in QUICK_FAMILIES]
    return slow_unless(quick, cases)


def batch_norms(encoder):
    return [m for m in encoder.submodules if isinstance(m, keras.layers.BatchNormalization)]


@pytest.mark.parametrize("case", contract_cases(), ids=lambda case: "-".join(map(str, case)))
def test_contract(case, tmp_path):
    """Sizes that are odd, uint8 and floats, no, one and many pictures; saved and loaded."""
    name, freeze_bn = case
    encoder = encoders.get(name, freeze_bn=freeze_bn)
    parameters, features = ALL[name]
    assert encoder.count_params() == parameters
    assert encoder.output_shape == (None, features)
    pictures = random_pictures(3)
    encoded = encoder(pictures, training=False).numpy()
    assert encoded.shape == (3, features) and encoded.dtype == np.float32
    assert np.isfinite(encoded).all() and encoded.std(axis=0).max() > 0
    close = {"rtol": 1e-4, "atol": 1e-4 * np.abs(encoded).max()}
    from_floats = encoder(pictures.astype(np.float32), training=False)
    np.testing.assert_allclose(from_floats, encoded, **close)
    np.testing.assert_allclose(encoder(pictures[:1], training=False), encoded[:1], **close)
    assert encoder(pictures[:0], training=False).shape == (0, features)
    encoder.save(tmp_path / "encoder.keras")
    again = keras.models.load_model(tmp_path / "encoder.keras")
    assert len(again.trainable_variables) == len(encoder.trainable_variables) > 0
    np.testing.assert_allclose(again(pictures, training=False), encoded, **close)
    for one, two in zip(again.get_weights(), encoder.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    if freeze_bn:
        assert batch_norms(again) and not any(norm.trainable for norm in batch_norms(again))
        trained = again(pictures, training=True)
        np.testing.assert_allclose(trained, encoded, **close)


@pytest.mark.parametrize("name", slow_unless(("swin_micro", "keras_applications:MobileNet"), ALL))
def test_mixed_precision(name, tmp_path):
    """Inside bfloat16, outside float32; also when loaded under another policy."""
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        encoder = encoders.get(name)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    pictures = random_pictures(2)
    encoded = encoder(pictures, training=False)
    assert encoded.dtype == tf.float32 and np.isfinite(encoded).all()
    computed = {layer.compute_dtype for layer in encoder.submodules if hasattr(layer, "kernel")}
    assert computed == {"bfloat16"}
    encoder.save(tmp_path / "encoder.keras")
    again = keras.models.load_model(tmp_path / "encoder.keras")
    np.testing.assert_array_equal(again(pictures, training=False), encoded)


@pytest.mark.parametrize(
    ("name", "preprocess"),
    [
        ("MobileNet", lambda x: x / 127.5 - 1),
        ("VGG16", lambda x: x[..., ::-1] - np.float32([103.939, 116.779, 123.68])),
    ],
)
def test_applications_preprocess_as_they_were_trained(name, preprocess):
    encoder = encoders.get(f"keras_applications:{name}")
    inner = getattr(keras.applications, name)(include_top=False, weights=None, pooling="avg")
    inner.set_weights(encoder.get_layer("backbone").model.get_weights())
    pictures = random_pictures(2, 40, 32)
    expected = inner(preprocess(pictures.astype(np.float32)), training=False).numpy()
    np.testing.assert_allclose(encoder(pictures), expected, rtol=1e-4, atol=1e-6 * expected.max())


def test_imagenet_weights_of_applications(monkeypatch, tmp_path):
    """The real loading code, with a file of random weights in place of the download."""
    name = "keras_applications:MobileNet"
    assert encoders.weight_sets(name) == ("imagenet",)
    trained = keras.applications.MobileNet(include_top=False, weights=None)
    trained.save_weights(tmp_path / "mobilenet.h5")
    download = "tf_keras.src.applications.mobilenet.data_utils.get_file"
    monkeypatch.setattr(download, lambda *_, **__: str(tmp_path / "mobilenet.h5"))
    encoder = encoders.get(name, weights="imagenet")
    loaded = encoder.get_layer("backbone").model.get_weights()
    for one, two in zip(loaded, trained.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    norms = [m for m in encoder.submodules if isinstance(m, keras.layers.BatchNormalization)]
    assert norms and not any(norm.trainable for norm in norms)

    def fail(*_, **__):
        raise Exception("URL fetch failure on https://...: None -- unknown host")

    monkeypatch.setattr(download, fail)
    with pytest.raises(ValueError, match="MobileNet: URL fetch failure.*downloaded; a file can"):
        encoders.get(name, weights="imagenet")


def test_arguments_of_other_libraries(tmp_path):
    encoder = encoders.get(
        "keras_cv:ResNetBackbone",
        stackwise_filters=(64, 16),
        stackwise_blocks=(1, 1),
        stackwise_strides=(1, 2),
        block_type="basic_block",
    )
    assert encoder.output_shape == (None, 16)
    encoder.save(tmp_path / "encoder.keras")
    again = keras.models.load_model(tmp_path / "encoder.keras")
    pictures = random_pictures(2, 32, 32)
    np.testing.assert_array_equal(again(pictures), encoder(pictures))
    backbone = encoder.get_layer("backbone")
    rebuilt = type(backbone).from_config(backbone.get_config())
    clone = keras.models.clone_model(encoder)
    assert rebuilt.get_config() == backbone.get_config()
    assert clone.get_layer("backbone").get_config() == backbone.get_config()
    clone.set_weights(encoder.get_weights())
    np.testing.assert_array_equal(clone(pictures), encoder(pictures))
    # Built for a size, the pictures are brought to it.
    fixed = encoders.get("keras_applications:MobileNet", alpha=0.25, input_shape=(64, 64, 3))
    fixed_size = tf.image.resize(pictures, (64, 64), antialias=True)
    np.testing.assert_allclose(fixed(pictures), fixed(fixed_size), rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("swin_micro", {"gradient_checkpointing": 3}, "expected true or false, got 3"),
        ("swin_micro", {"depth": 3}, "encoder 'swin_micro': got an unexpected keyword argument 'd"),
        ("keras_cv:ResNetBackbone", {"blocks": [1]}, "keras_cv:ResNetBackbone: .*blocks"),
        ("keras_applications:MobileNet", {"include_top": True}, "MobileNet: .*include_top"),
        ("keras_applications:MobileNet", {"alpha": {1}}, "MobileNet: .*not JSON serializable"),
    ],
)
def test_arguments_that_do_not_exist(name, arguments, message):
    with pytest.raises(ValueError, match=message) as caught:
        encoders.get(name, **arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("keras_cv:ResNetV2", "did you mean 'keras_cv:ResNetV2Backbone'?"),
        ("keras_cv:ResNet18V2Backbone", "did you mean 'keras_cv:ResNetV2Backbone'?"),
        ("keras_applications:Resnet50", "did you mean 'keras_applications:ResNet50'?"),
        ("keras_cv:Foo", r"unknown encoder 'keras_cv:Foo'; known: .* \(docs/encoders.md\)"),
        ("ResNet50", "unknown encoder 'ResNet50'"),
        ("keras_cv:VGG16Backbone", "cannot be an encoder: .*take 'keras_applications:VGG16'"),
        ("keras_cv:VideoSwinBackbone", "cannot be an encoder: it takes videos"),
    ],
)
def test_names_of_other_libraries(name, message):
    with pytest.raises(ValueError, match=message):
        encoders.get(name)


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
    with pytest.raises(
        ValueError, match="no file '.*' for encoder 'efficientnet_lite0': known 'imagenet', or"
    ):
        encoders.get("efficientnet_lite0", weights=missing)


def test_files_that_are_no_weights_of_the_encoder(tmp_path):
    path = tmp_path / "other.weights.h5"
    path.write_bytes(b"not HDF5")
    with pytest.raises(ValueError, match="other.weights.h5: not weights of encoder 'swin_micro': "):
        encoders.get("swin_micro", weights=path)
    encoders.get("mobilenet_v3_small").save_weights(path)
    with pytest.raises(ValueError, match="not weights of encoder 'swin_micro': ") as caught:
        encoders.get("swin_micro", weights=path)
    assert "\n" not in str(caught.value)
    state = tmp_path / "swin.pth"
    state.write_bytes(b"")
    with pytest.raises(
        ValueError, match="swin.pth: expected a Keras weights file.*convert-weights"
    ):
        encoders.get("swin_tiny", weights=state)


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
