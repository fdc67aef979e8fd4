from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from tfrec_vis import encoders
from tfrec_vis.encoders.swin import PatchMerging
from tfrec_vis.encoders.swin_block import SwinBlock


def block(channels=8, num_heads=2, window=4, shift=0):
    """A block with random weights, also where it starts from zeros or ones."""
    layer = SwinBlock(num_heads, window, shift, dtype="float64")
    layer.build(tf.TensorShape([None, None, None, channels]))
    rng = np.random.default_rng(1)
    layer.set_weights([rng.normal(scale=0.5, size=w.shape) for w in layer.get_weights()])
    return layer


def normalised(x, norm):
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-5) * norm.gamma.numpy() + norm.beta.numpy()


def attention_by_loop(layer, x):
    """What each position sees: the positions of its own window in the shifted grid."""
    height, width, channels = x.shape
    size = channels // layer.num_heads
    # No shift along an axis that one window covers.
    down = layer.shift if height > layer.window else 0
    across = layer.shift if width > layer.window else 0
    table = layer.position_bias.numpy()
    qkv = x @ layer.qkv.kernel.numpy() + layer.qkv.bias.numpy()
    query, key, value = np.split(qkv, 3, axis=-1)

    def window_of(i, j):
        return (i - down) // layer.window, (j - across) // layer.window

    result = np.zeros_like(x)
    positions = list(np.ndindex(height, width))
    for i, j in positions:
        seen = [p for p in positions if window_of(*p) == window_of(i, j)]
        for h in range(layer.num_heads):
            part = slice(h * size, (h + 1) * size)
            logits = []
            for k, m in seen:
                offset = (i - k + layer.window - 1) * (2 * layer.window - 1)
                offset += j - m + layer.window - 1
                product = query[i, j, part] @ key[k, m, part] / np.sqrt(size)
                logits.append(product + table[offset, h])
            weights = np.exp(logits - np.max(logits))
            weights /= weights.sum()
            result[i, j, part] = sum(
                w * value[k, m, part] for w, (k, m) in zip(weights, seen, strict=True)
            )
    return result @ layer.projection.kernel.numpy() + layer.projection.bias.numpy()


@pytest.mark.parametrize("shift", [0, 2])
@pytest.mark.parametrize("size", [(8, 8), (7, 9), (3, 10), (4, 4)])
def test_window_attention_equals_a_loop(size, shift):
    layer = block(shift=shift)
    x = np.random.default_rng(0).normal(size=(2, *size, 8))
    attended = layer._window_attention(tf.constant(x)).numpy()
    for one, result in zip(x, attended, strict=True):
        np.testing.assert_allclose(result, attention_by_loop(layer, one), atol=1e-5)


def test_a_block_equals_its_parts():
    layer = block(shift=2)
    x = np.random.default_rng(0).normal(size=(1, 8, 8, 8))
    middle = x + attention_by_loop(layer, normalised(x[0], layer.norm_1))
    hidden = normalised(middle, layer.norm_2) @ layer.mlp_1.kernel.numpy()
    hidden = keras.activations.gelu(tf.constant(hidden + layer.mlp_1.bias.numpy())).numpy()
    expected = middle + hidden @ layer.mlp_2.kernel.numpy() + layer.mlp_2.bias.numpy()
    np.testing.assert_allclose(layer(x), expected, atol=1e-4)


def influenced(layer, size, place):
    """Positions whose output changes with the input at ``place``."""
    x = np.random.default_rng(0).normal(size=(1, *size, 8))
    changed = x.copy()
    changed[0, place[0], place[1]] += np.arange(8)
    return np.abs(layer(changed) - layer(x)).max(-1)[0] > 1e-9


def test_shifted_windows_do_not_leak_across_the_border():
    far = influenced(block(shift=2), (8, 8), (0, 0))
    assert far[:2, :2].all() and far.sum() == 4  # rolled together with the other corners
    inside = influenced(block(shift=2), (8, 8), (3, 3))
    assert inside[2:6, 2:6].all() and inside.sum() == 16
    plain = influenced(block(shift=0), (8, 8), (3, 3))
    assert plain[:4, :4].all() and plain.sum() == 16


def test_patch_merging_concatenates_the_four_neighbours():
    layer = PatchMerging()
    x = np.random.default_rng(0).normal(size=(1, 5, 4, 3)).astype(np.float32)
    merged = layer(x).numpy()
    assert merged.shape == (1, 3, 2, 6)
    padded = np.pad(x[0], [(0, 1), (0, 0), (0, 0)])
    for i, j in np.ndindex(3, 2):
        corners = [padded[2 * i, 2 * j], padded[2 * i + 1, 2 * j]]
        corners += [padded[2 * i, 2 * j + 1], padded[2 * i + 1, 2 * j + 1]]
        four = normalised(np.concatenate(corners), layer.norm)
        np.testing.assert_allclose(
            merged[0, i, j], four @ layer.reduction.kernel.numpy(), atol=1e-5
        )


def test_any_size_of_picture():
    encoder = encoders.get("swin_micro")
    for size in [(32, 32), (45, 37), (96, 33)]:
        pictures = np.random.default_rng(0).integers(0, 256, (2, *size, 3)).astype(np.uint8)
        features = encoder(pictures).numpy()
        assert features.shape == (2, 192) and np.isfinite(features).all()
        np.testing.assert_allclose(encoder(pictures[:1]), features[:1], atol=1e-4)
