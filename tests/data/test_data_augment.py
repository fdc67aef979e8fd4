from __future__ import annotations

import sys

import keras_cv
import numpy as np
import pytest
import tensorflow as tf

from tfrec_vis.data import pages
from tfrec_vis.data.augment import PRESETS, augmentation

SEED = tf.constant([7, 3], tf.int32)


@pytest.fixture(scope="module")
def plain(prepared_shop):
    return list(pages(prepared_shop, batch_size=300, shuffle=False).as_numpy_iterator())


def augmented(prepared, augment):
    dataset = pages(prepared, batch_size=300, shuffle=False, augment=augment)
    return list(dataset.as_numpy_iterator())


def test_a_callable_gets_the_distinct_pictures_once(prepared_shop, plain):
    found = augmented(prepared_shop, lambda pictures: 255 - pictures)
    for one, two in zip(plain, found, strict=True):
        np.testing.assert_array_equal(255 - one["image"], two["image"])
        for name in one.keys() - {"image"}:
            np.testing.assert_array_equal(one[name], two[name])


def test_numbers_become_pixels():
    pictures = tf.constant([[[[0, 100, 255]]]], tf.uint8)
    out = augmentation(lambda p: tf.cast(p, tf.float32) * 1.26 - 0.4, 1)(pictures, SEED)
    assert out.dtype == tf.uint8 and out.numpy().ravel().tolist() == [0, 126, 255]


def test_a_callable_with_a_seed_is_replayed(prepared_shop):
    def noise(pictures, seed):
        chance = tf.random.stateless_uniform(tf.shape(pictures), seed)
        return tf.where(chance < 0.5, pictures, 0)

    first, again = (augmented(prepared_shop, noise) for _ in range(2))
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one["image"], two["image"])
    assert not np.array_equal(first[0]["image"][:5] == 0, first[1]["image"][:5] == 0)


def test_a_layer_of_keras_cv(prepared_shop, plain):
    layer = keras_cv.layers.Grayscale(output_channels=3)
    for one, two in zip(plain, augmented(prepared_shop, layer), strict=True):
        weights = np.array([0.2989, 0.587, 0.114])  # ITU-R 601
        grey = (one["image"] @ weights)[..., None]
        assert np.abs(two["image"] - grey).max() < 1.5


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_change_pictures_within_reason(prepared_shop, plain, preset):
    found = augmented(prepared_shop, preset)
    for one, two in zip(plain[:1], found[:1], strict=True):
        assert two["image"].shape == one["image"].shape and two["image"].dtype == np.uint8
        change = np.abs(two["image"].astype(float) - one["image"]).mean(axis=(1, 2, 3))
        assert (change > 0).mean() > 0.5 and np.median(change) < 80
        np.testing.assert_array_equal(one["item_index"], two["item_index"])


def test_unknown_preset():
    with pytest.raises(ValueError, match="unknown augmentation 'mixup'; known: crop_and_color"):
        augmentation("mixup", 32)


def test_keras_cv_is_imported_only_when_asked(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_cv", None)
    augmentation(lambda pictures: pictures, 8)
    with pytest.raises(ImportError):
        augmentation("crop_and_color", 8)
