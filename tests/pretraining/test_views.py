from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfrec_vis.data import pages
from tfrec_vis.pretraining.views import _blur, random_views

SEED = [3, 4]


@pytest.fixture(scope="module")
def pictures(prepared_shop):
    return next(iter(pages(prepared_shop, batch_size=24)))["image"][:40]


@pytest.fixture(scope="module")
def view():
    return random_views()


def test_a_seed_gives_the_same_views_again(pictures, view):
    one, again, other = (view(pictures, tf.constant(s)) for s in (SEED, SEED, [3, 5]))
    assert one.dtype == tf.uint8 and one.shape == pictures.shape
    np.testing.assert_array_equal(one, again)
    changed = (one.numpy() != other.numpy()).mean(axis=(1, 2, 3))
    assert (changed > 0.2).mean() > 0.9


def test_views_are_of_their_picture(pictures, view):
    """Grey levels of a view go with those of its own picture more than with another's."""
    shades = []
    for seed in range(20):
        seen = view(pictures, tf.constant([0, seed])).numpy()
        shades.append(seen.mean(axis=(1, 2, 3)))
    whole = pictures.numpy().mean(axis=(1, 2, 3))
    assert np.corrcoef(np.mean(shades, axis=0), whole)[0, 1] > 0.7


@pytest.mark.parametrize("count", [0, 1])
def test_few_pictures(pictures, view, count):
    assert view(pictures[:count], tf.constant(SEED)).shape == (count, 32, 32, 3)


def test_pictures_are_not_blown_out(pictures, view):
    """Strong changes of colour must not leave most views black or white."""
    seen = view(tf.repeat(pictures, 5, axis=0), tf.constant(SEED)).numpy() / 255
    flat = seen.std(axis=(1, 2, 3)) < 0.02
    assert flat.mean() < 0.1


def test_blur_equals_a_loop():
    rng = np.random.default_rng(0)
    x, sigma = rng.uniform(0, 255, [2, 5, 4, 3]), np.array([0.5, 2.0])
    expected = np.zeros_like(x)
    for n in range(2):
        for i in range(5):
            for j in range(4):
                weight = np.zeros([5, 4])
                for k in range(5):
                    for m in range(4):
                        weight[k, m] = np.exp(-((i - k) ** 2 + (j - m) ** 2) / 2 / sigma[n] ** 2)
                weight /= weight.sum()
                expected[n, i, j] = (weight[..., None] * x[n]).sum(axis=(0, 1))
    blurred = _blur(tf.constant(x, tf.float32), tf.constant(sigma, tf.float32))
    np.testing.assert_allclose(blurred, expected, rtol=1e-4)
