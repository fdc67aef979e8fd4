from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from feature_oracles import attended, random_weights

from tfrec_vis.ranking import SemanticIdFeature

ROWS, CLICKS, LEVELS, CODES, UNITS = 40, 6, 3, 2, 4


def inputs() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row 0 without clicks, 1 full, 2 with a target, 3 with all clicks without an id."""
    random = np.random.default_rng(0)
    target = random.integers(0, CODES, [ROWS, LEVELS])
    history = random.integers(0, CODES, [ROWS, CLICKS, LEVELS])
    history[random.random([ROWS, CLICKS]) < 0.2] = -1
    mask = random.random([ROWS, CLICKS]) < 0.7
    mask[0], mask[1], mask[3] = False, True, True
    target[2], history[3] = -1, -1
    return target, history, mask


@pytest.fixture
def layer() -> SemanticIdFeature:
    layer = SemanticIdFeature(LEVELS, CODES, UNITS, dtype="float64")
    layer.build(tf.TensorShape([None, LEVELS]))
    random_weights(layer)
    return layer


def by_loop(layer: SemanticIdFeature, target: np.ndarray, history: np.ndarray, mask: np.ndarray):
    tables = np.split(layer.embedding.numpy(), LEVELS)  # one of each level

    def embedded(codes: tuple[int, ...]) -> np.ndarray:
        if codes[0] == -1:
            return np.zeros(UNITS)
        return sum(table[code] for table, code in zip(tables, codes, strict=True))

    rows = []
    for n in range(len(target)):
        own, clicks = tuple(target[n]), [tuple(codes) for codes in history[n]]
        valid = np.array([mask[n, i] and clicks[i][0] != -1 for i in range(CLICKS)])
        keys = np.array([embedded(codes) for codes in clicks])
        interest = attended(layer.attention, embedded(own), keys, valid & (own[0] != -1))
        known = [codes for codes, v in zip(clicks, valid, strict=True) if v]
        shares = []
        for length in range(1, LEVELS + 1):
            same = [codes for codes in known if codes[:length] == own[:length]]
            shares.append(len(same) / len(known) if known else 0.0)
        rows.append(np.concatenate([embedded(own), interest, shares]))
    return np.array(rows)


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_equals_a_loop(layer: SemanticIdFeature, dtype: type) -> None:
    target, history, mask = inputs()
    expected = by_loop(layer, target, history, mask)
    out = layer(target.astype(dtype), history.astype(dtype), mask)
    np.testing.assert_allclose(out, expected, rtol=1e-9, atol=1e-12)
    shares = expected[:, -LEVELS:]
    assert (np.diff(shares, axis=1) < 0).any(axis=0).all()  # every level tells something


def test_a_later_code_alone_is_no_prefix(layer: SemanticIdFeature) -> None:
    out = layer(np.array([[0, 1, 1]]), np.array([[[1, 1, 1], [0, 0, 1]]]), np.ones([1, 2], bool))
    np.testing.assert_array_equal(out[0, -LEVELS:], [0.5, 0, 0])


def test_what_has_no_id_gives_zeros(layer: SemanticIdFeature) -> None:
    out = layer(*inputs()).numpy()
    assert not out[[0, 3], UNITS:].any()
    assert inputs()[2][2].any() and not out[2].any()


def test_no_codes_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1, got levels=2, codes=0"):
        SemanticIdFeature(2, 0)
