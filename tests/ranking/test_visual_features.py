from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from feature_oracles import random_weights
from ranking_cases import ITEMS, WIDTH, toy_vectors

from tfrec_vis.ranking import FEATURES, VisualFeatures, parse_features

HISTORY, CLUSTERS, LEVELS, CODES, CATEGORIES, UNITS = 4, 3, 2, 4, 5, 3
WIDTHS = {
    "vector": 2 * UNITS,
    "sim_score": HISTORY + 3,
    "cluster_id": 2 * UNITS + 1,
    "sim_tier": 20,
    "semantic_id": 2 * UNITS + LEVELS,
}
NO_PICTURE = (3, 11)


def tables() -> dict[str, np.ndarray]:
    """Items 3 and 11 have no picture."""
    random = np.random.default_rng(5)
    none = np.isin(np.arange(ITEMS + 1), (0, *NO_PICTURE))
    return {
        "vectors": np.where(none[:, None], 0, toy_vectors()),
        "clusters": np.where(none, -1, random.integers(0, CLUSTERS, ITEMS + 1)),
        "semantic_ids": np.where(none[:, None], -1, random.integers(0, CODES, [ITEMS + 1, LEVELS])),
        "categories": random.integers(0, CATEGORIES, ITEMS + 1),
    }


def layer_of(name: str, **options: object) -> VisualFeatures:
    sizes = {"vector_dim": WIDTH, "clusters": CLUSTERS, "semantic": (LEVELS, CODES)}
    layer = VisualFeatures(
        parse_features(name), ITEMS + 1, HISTORY, **{**sizes, "units": UNITS, **options}
    )
    layer.set_tables(**tables())
    return layer


def rows(batch: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Items and histories; row 1 without clicks, 2 and 3 with items without a picture."""
    random = np.random.default_rng(seed)
    item = random.integers(1, ITEMS + 1, batch)
    history = random.integers(0, ITEMS + 1, [batch, HISTORY])
    history[1:2], item[2:3], history[3:4, :2] = 0, NO_PICTURE[0], NO_PICTURE
    return item, history


def with_weights(layer: VisualFeatures, seed: int = 0) -> VisualFeatures:
    layer(*rows(2))
    random_weights(layer, seed)
    return layer


ALL = "+".join(FEATURES[1:])


@pytest.mark.parametrize("name", [*FEATURES[1:], "sim_score+cluster_id", "vector+sim_tier", ALL])
@pytest.mark.parametrize("batch", [0, 1, 9])
def test_is_what_the_layers_give_for_the_looked_up_items(name: str, batch: int) -> None:
    layer = with_weights(layer_of(name))
    item, history = rows(batch)
    table, mask, expected = tables(), history > 0, []
    for feature in parse_features(name):
        source = {"cluster_id": "clusters", "semantic_id": "semantic_ids"}.get(feature, "vectors")
        looked_up = table[source].astype(np.float32 if source == "vectors" else np.int64)
        expected.append(layer.parts[feature](looked_up[item], looked_up[history], mask))
        assert expected[-1].shape == (batch, WIDTHS[feature])
    out = layer(item, history)
    np.testing.assert_allclose(out, np.concatenate(expected, axis=1), rtol=1e-5, atol=1e-6)
    assert out.shape[1] == layer.width == sum(WIDTHS[f] for f in parse_features(name))


@pytest.mark.parametrize("name", ["sim_score", "sim_tier", "sim_score+sim_tier", ALL])
def test_given_cosines_give_what_computed_ones_do(name: str) -> None:
    item, history = rows(9)
    vectors = tables()["vectors"]
    cosines = np.zeros(history.shape, np.float32)
    for n, i in np.ndindex(*history.shape):
        cosines[n, i] = vectors[item[n]] @ vectors[history[n, i]]
    layer = with_weights(layer_of(name))
    computed = layer(item, history)
    np.testing.assert_allclose(layer(item, history, cosines=cosines), computed, atol=1e-6)
    if "vector" not in name:
        bare = layer_of(name, vector_dim=0)
        bare.set_weights([w for w in layer.get_weights() if w.shape != vectors.shape])
        assert {tuple(w.shape) for w in bare.weights}.isdisjoint({vectors.shape})
        np.testing.assert_allclose(bare(item, history, cosines=cosines), computed, atol=1e-6)
        with pytest.raises(ValueError, match="expected cosines, or vector_dim"):
            bare(item, history)


@pytest.mark.parametrize("name", [*FEATURES[1:], ALL])
def test_a_given_target_is_as_if_it_were_in_the_tables(name: str) -> None:
    item, history = rows(9)
    sizes = {"categories": CATEGORIES}
    layer, known = with_weights(layer_of(name, **sizes)), tables()
    # Nothing in the tables but the clicks: targets are item 0, of category 0.
    known["categories"] = np.zeros_like(known["categories"])
    layer.set_tables(**known)
    expected = layer(item, history)
    target = {n: known[n][item] for n in ("vectors", "clusters", "semantic_ids")}
    nothing = np.zeros_like(item)
    given = layer(nothing, history, target={n: tf.constant(v) for n, v in target.items()})
    np.testing.assert_allclose(given, expected, rtol=1e-5, atol=1e-6)
    assert np.abs(given - layer(nothing, history)).max() > 1e-3


def test_given_cosines_are_not_rounded_to_half_precision() -> None:
    layer = layer_of("sim_tier", vector_dim=0, dtype="mixed_bfloat16")
    cosines, clicks = np.array([[0.4999, 0, 0, 0]], np.float32), np.array([[5, 0, 0, 0]])
    out = layer(np.array([1]), clicks, cosines=cosines)
    assert out.dtype == tf.bfloat16 and np.flatnonzero(tf.cast(out[0], tf.float32)) == [14]


def test_gates_by_the_targets_category() -> None:
    item, history = rows(9)
    plain = with_weights(layer_of("sim_score+cluster_id"))
    gated = layer_of("sim_score+cluster_id", categories=CATEGORIES)
    gated(item, history)
    for one, two in zip(plain.parts.values(), gated.parts.values(), strict=True):
        two.set_weights(one.get_weights())
    random = np.random.default_rng(1)
    values = {feature: random.normal(size=CATEGORIES) for feature in plain.features}
    for feature, gate in gated.gate_layers.items():
        gate.gate.assign(values[feature])
    off = int(tables()["categories"][item[0]])
    gated.set_off([off])
    expected = plain(item, history).numpy()
    for n, category in enumerate(tables()["categories"][item]):
        for feature, part in (("sim_score", slice(0, 7)), ("cluster_id", slice(7, None))):
            gate = 0 if category == off else 1 / (1 + np.exp(-values[feature][category]))
            assert gated.gates()[feature][category] == pytest.approx(gate, abs=1e-6)
            expected[n, part] *= gate
    np.testing.assert_allclose(gated(item, history), expected, rtol=1e-5, atol=1e-6)
    assert plain.gates() == {} and list(gated.gates()) == ["sim_score", "cluster_id"]


def test_what_is_trained() -> None:
    layer = layer_of(ALL, categories=CATEGORIES)
    item, history = rows(40)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(item, history) ** 2)
    for weight, gradient in zip(
        layer.trainable_weights, tape.gradient(loss, layer.trainable_weights), strict=True
    ):
        assert np.abs(tf.convert_to_tensor(gradient)).max() > 0 or "score_1/bias" in weight.name
    held = {w.ref() for w in layer.trainable_weights}
    assert held.isdisjoint({table.ref() for table in layer.tables.values()})
    names = [w.name for w in layer.weights]
    assert len(names) == len(set(names))


def test_distinct_items_are_projected_once() -> None:
    layer, seen = with_weights(layer_of("vector")), []
    projection = layer.parts["vector"].projection
    layer.parts["vector"].projection = lambda x: seen.append(len(x)) or projection(x)
    layer(np.array([4, 4, 7]), np.array([[7, 4, 0, 0]] * 3))
    assert seen == [3]  # 4, 7 and padding


def test_in_a_reloaded_model_all_tables_are_there(tmp_path) -> None:
    layer = with_weights(layer_of(ALL, categories=CATEGORIES))
    layer.set_off([1])
    inputs = [tf.keras.Input([], dtype=tf.int32), tf.keras.Input([HISTORY], dtype=tf.int32)]
    model = tf.keras.Model(inputs, layer(*inputs))
    model.save(tmp_path / "model.keras")
    again = tf.keras.models.load_model(tmp_path / "model.keras")
    item, history = rows(9)
    np.testing.assert_array_equal(again([item, history]), layer(item, history))
    parts = np.split(layer(item, history).numpy(), np.cumsum([*layer.widths.values()]), axis=1)
    assert all(np.ptp(part, axis=0).any() for part in parts[:-1])


def test_switched_off_items_give_zeros_as_the_target_alone() -> None:
    layer = with_weights(layer_of(ALL, categories=CATEGORIES))
    item, history = rows(40)
    before = layer(item, history).numpy()
    off = tables()["categories"] == 2
    layer.set_tables(off=off)
    after, target_off = layer(item, history).numpy(), off[item]
    assert target_off.any() and off[history].any() and before[target_off].any()
    assert not after[target_off].any()
    np.testing.assert_array_equal(after[~target_off], before[~target_off])
    vectors = tables()["vectors"]
    cosines = np.einsum("nd,nld->nl", vectors[item], vectors[history]).astype(np.float32)
    assert not layer(item, history, cosines).numpy()[target_off].any()


def test_a_target_without_a_picture_gives_zeros_wholly() -> None:
    layer = with_weights(layer_of(ALL))
    clicks = np.array([[1, 2, 4, 5]] * 2)
    out = layer(np.array([NO_PICTURE[0], 6]), clicks).numpy()
    assert not out[0].any() and out[1].any()


def test_until_tables_are_set_nothing_has_a_picture() -> None:
    layer = VisualFeatures(("vector", "cluster_id", "semantic_id"), 9, 2, 4, 3, (2, 5))
    out = layer(np.array([1, 2]), np.array([[3, 4], [5, 0]]))
    np.testing.assert_array_equal(out, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"features": ()}, "expected at least one visual feature"),
        ({"features": ("vector",)}, "expected vector_dim, the width of the vectors"),
        ({"features": ("cluster_id",)}, "expected clusters of at least 1"),
        ({"features": ("semantic_id",)}, "expected levels and codes of at least 1"),
        ({"features": ("sim_tier", "sim_score")}, "in order, 'sim_score\\+sim_tier'"),
    ],
)
def test_missing_sizes_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VisualFeatures(items=5, history=2, **arguments)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"vectors": np.zeros([4, WIDTH])}, r"expected vectors of shape \(21, 6\), got \(4, 6\)"),
        ({"clusters": np.full(ITEMS + 1, 3)}, "expected clusters of -1 to 2, got 3 to 3"),
        ({"clusters": np.zeros(3)}, r"expected clusters of shape \(21,\), got \(3,\)"),
        ({"semantic_ids": np.full([ITEMS + 1, 2], 4)}, "expected semantic_ids of -1 to 3"),
        ({"categories": np.full(ITEMS + 1, -1)}, "expected categories of 0 to 4, got -1"),
    ],
)
def test_wrong_tables_are_refused(wrong: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        layer_of(ALL, categories=CATEGORIES).set_tables(**wrong)
