from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras
from PIL import Image
from sklearn.datasets import load_sample_image

from tfrec_vis import encoders
from tfrec_vis.encoders.efficientnet_lite0 import efficientnet_lite0

PALACE, DAISY = 698, 985


@pytest.fixture(scope="module")
def labelled():
    return efficientnet_lite0(weights="imagenet", classes=1000)


def photo(name):
    """The middle square, resized to the 224 pixels of the training."""
    picture = Image.fromarray(load_sample_image(name))
    side = min(picture.size)
    assert side == 427
    left, top = ((length - side) // 2 for length in picture.size)
    square = picture.crop((left, top, left + side, top + side))
    return np.asarray(square.resize((224, 224), Image.Resampling.BICUBIC))


@pytest.mark.parametrize(("name", "label"), [("china.jpg", PALACE), ("flower.jpg", DAISY)])
def test_labels_photos(labelled, name, label):
    logits = labelled(photo(name)[None], training=False).numpy()[0]
    assert logits.argmax() == label
    share = np.exp(logits - logits.max())
    assert share[label] / share.sum() > 0.15


def test_features_are_those_before_the_labels(labelled):
    encoder = encoders.get("efficientnet_lite0", weights="imagenet")
    picture = photo("china.jpg")[None]
    features = encoder(picture, training=True)  # batch norm is frozen: the same as False
    kernel, bias = labelled.get_layer("fc").get_weights()
    np.testing.assert_allclose(
        features @ kernel + bias, labelled(picture, training=False), atol=1e-3
    )
    assert 3.3e6 < encoder.count_params() < 3.5e6
    norms = [m for m in encoder.submodules if isinstance(m, keras.layers.BatchNormalization)]
    assert len(norms) == 49 and not any(norm.trainable for norm in norms)
