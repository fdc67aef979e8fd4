"""Batches that carry the bytes of their pictures."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfrec_vis.data import decode_pictures, page_pictures, pages

BATCH = 48


def batches(prepared, **arguments):
    return list(pages(prepared, batch_size=BATCH, **arguments).take(3))


def noise(pictures, seed):
    """Differs from picture to picture, and with the seed."""
    chance = tf.random.stateless_uniform(tf.shape(pictures), seed)
    return tf.where(chance < 0.5, pictures, 255 - pictures)


@pytest.mark.parametrize("shop", ["prepared_shop", "embedded_shop"])
@pytest.mark.parametrize("how", [{}, {"flip": True}, {"flip": True, "augment": noise}])
def test_bytes_give_the_pixels_of_the_decoded_batch(request, monkeypatch, shop, how):
    monkeypatch.setattr(page_pictures, "AUGMENT_AT_ONCE", 7)
    prepared = request.getfixturevalue(shop)
    found = batches(prepared, decode_ahead=20, image_size=24, **how)
    for one, two in zip(batches(prepared, image_size=24, **how), found, strict=True):
        assert "image" not in two
        assert two["image_bytes"].dtype == tf.string and two["flip"].dtype == tf.bool
        assert two["blank"].shape == (1, 24, 24, 3) and np.all(two["blank"] == 255)
        for name in one.keys() - {"image"}:
            np.testing.assert_array_equal(one[name], two[name])
        np.testing.assert_array_equal(decode_pictures(two), one["image"])
        np.testing.assert_array_equal(decode_pictures(two, 5, 16), one["image"][5:16])
        np.testing.assert_array_equal(decode_pictures(one, 5, 16), one["image"][5:16])


def test_blocks_draw_numbers_of_their_own(prepared_shop, monkeypatch):
    monkeypatch.setattr(page_pictures, "AUGMENT_AT_ONCE", 4)

    def grey(pictures, seed):
        return tf.ones_like(pictures, tf.float32) * tf.random.stateless_uniform([], seed, 0, 255)

    batch = batches(prepared_shop, augment=grey)[0]
    first = batch["image"][:, 0, 0, 0].numpy()
    seeds = [set(first[i : i + 4]) for i in range(0, len(first), 4)]
    assert all(len(block) == 1 for block in seeds)
    assert len(set.union(*seeds)) > len(seeds) / 2


def test_what_a_batch_can_hold_decides(prepared_shop):
    """Five clicks and five shown items a page; or all items, if these are fewer."""
    spec = pages(prepared_shop, batch_size=4).element_spec
    assert "image" in spec and "image_bytes" not in spec
    for ahead, kind in ((39, "image_bytes"), (40, "image"), (None, "image")):
        assert kind in pages(prepared_shop, batch_size=4, decode_ahead=ahead).element_spec
    most = max(int(b["item_index"].numpy().max()) for b in pages(prepared_shop, batch_size=64))
    for ahead, kind in ((most - 1, "image_bytes"), (most, "image")):
        assert kind in pages(prepared_shop, batch_size=5000, decode_ahead=ahead).element_spec
    context = tf.distribute.InputContext(1, 0, 4)
    half = pages(prepared_shop, batch_size=16, decode_ahead=40, input_context=context)
    assert "image" in half.element_spec


def test_no_picture():
    blank = tf.fill([1, 8, 8, 3], tf.constant(255, tf.uint8))
    empty = {"image_bytes": tf.zeros([0], tf.string), "flip": tf.zeros([0], tf.bool)}
    assert decode_pictures({**empty, "blank": blank}).shape == (0, 8, 8, 3)
