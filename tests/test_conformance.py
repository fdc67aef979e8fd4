"""One test that every public layer and loss passes; the cases are in layer_conformance.py."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from conformance_case import KINDS, WIDTH
from layer_conformance import CASES, Holder
from tf_keras.src.testing_infra.test_utils import layer_test

from tfrec_vis import layers, losses, ranking

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)


def as_tensors(inputs, dtype):
    floats = [np.issubdtype(x.dtype, np.floating) for x in inputs]
    return [tf.constant(x, dtype if f else None) for x, f in zip(inputs, floats, strict=True)]


def outputs_and_gradients(case, thing, inputs):
    """Results, and the gradients of their squares' sum to float inputs and trained weights."""
    sources = [x for x in inputs if x.dtype.is_floating]
    sources += getattr(thing, "trainable_weights", [])
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        for source in sources:
            tape.watch(source)
        results = tf.nest.flatten(case.call(thing, inputs))
        total = tf.add_n([tf.reduce_sum(tf.cast(r, tf.float32) ** 2) for r in results])
    gradients = tape.gradient(total, sources, unconnected_gradients="zero")
    return results, [tf.convert_to_tensor(gradient) for gradient in gradients]


def built(case, dtype=None):
    """A layer with its weights, from a batch that changes none of them."""
    thing = case.new(dtype)
    case.call(thing, as_tensors(case.inputs("padding", 2), getattr(thing, "compute_dtype", None)))
    return thing


def as_float(x):
    return tf.cast(x, tf.float64).numpy()


def is_layer(public):
    """Whether it is a layer, and no model."""
    is_one = isinstance(public, type) and issubclass(public, keras.layers.Layer)
    return is_one and not issubclass(public, keras.Model)


def test_every_public_name_has_a_case():
    of_ranking = {name for name in ranking.__all__ if is_layer(getattr(ranking, name))}
    assert {case.public for case in CASES} == {*layers.__all__, *losses.__all__, *of_ranking}
    assert len({case.id for case in CASES}) == len(CASES)


@each_case
def test_config_round_trip(case):
    if case.is_function:
        assert callable(case.make)  # no configuration
        return
    thing = built(case)
    config = keras.saving.serialize_keras_object(thing)
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is type(thing) and again.get_config() == thing.get_config()
    for name, value in case.options.items():
        assert thing.get_config()[name] == value
    inputs = as_tensors(case.inputs("usual", 7), "float32")
    case.call(again, inputs)
    if case.is_layer:
        again.set_weights(thing.get_weights())
    for one, two in zip(
        tf.nest.flatten(case.call(thing, inputs)),
        tf.nest.flatten(case.call(again, inputs)),
        strict=True,
    ):
        np.testing.assert_array_equal(one, two)


@each_case
def test_build_makes_the_weights(case):
    if not case.is_layer:
        assert not hasattr(case.new(), "weights")
        return
    called, alone = built(case), case.new()
    inputs = case.inputs("usual", 7)
    if inputs and not alone.built:
        alone.build(case.shapes())
    assert alone.built
    specs = [[(w.shape, w.dtype, w.trainable) for w in x.weights] for x in (called, alone)]
    assert specs[0] == specs[1]
    case.call(called, as_tensors(inputs, "float32"))
    assert len(called.weights) == len(alone.weights)


@each_case
def test_eager_and_graph_on_every_kind_of_batch(case):
    eager, graph = built(case), built(case)
    if case.is_layer:
        graph.set_weights(eager.get_weights())
    examples = as_tensors(case.inputs("usual", 7), "float32")

    @tf.function(
        autograph=False,
        input_signature=[tf.TensorSpec([None, *x.shape[1:]], x.dtype) for x in examples],
    )
    def in_graph(*inputs):
        return outputs_and_gradients(case, graph, list(inputs))

    for kind, batch in KINDS:
        inputs = as_tensors(case.inputs(kind, batch), "float32")
        if case.public == "MemoryBank":  # what came before is not this batch's
            for bank in (eager, graph):
                bank.set_weights([np.zeros(w.shape, w.dtype.name) for w in bank.weights])
        results, gradients = outputs_and_gradients(case, eager, inputs)
        for one, two in zip(
            [*results, *gradients], tf.nest.flatten(in_graph(*inputs)), strict=True
        ):
            assert np.isfinite(one).all(), (kind, batch)
            assert one.shape == two.shape, (kind, batch)
            np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-5, err_msg=f"{kind} {batch}")
        if kind in case.empty:
            assert all(np.abs(as_float(x)).max() < 1e-5 for x in results), (kind, batch)
        elif (kind, batch) == ("usual", 7):
            assert any(np.abs(as_float(x)).max() > 1e-3 for x in results)


@each_case
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("float16", 0.02), ("bfloat16", 0.15), ("float64", 1e-6)]
)
def test_precisions(case, dtype, tolerance):
    if case.public in losses.__all__:  # halves are computed in float32
        tolerance = min(tolerance, 2e-5)
    policy = dtype if dtype == "float64" else f"mixed_{dtype}"
    thing, exact = built(case, policy), built(case, "float64")
    if case.is_layer:
        exact.set_weights(thing.get_weights())
        stored = "float64" if dtype == "float64" else "float32"
        assert {w.dtype.name for w in thing.weights} <= {stored, "int64"}
    for kind, batch in KINDS:
        inputs = as_tensors(case.inputs(kind, batch), dtype)
        doubles = [tf.cast(x, "float64") if x.dtype.is_floating else x for x in inputs]
        results, gradients = outputs_and_gradients(case, thing, inputs)
        expected = tf.nest.flatten(case.call(exact, doubles))
        for one, two in zip(results, expected, strict=True):
            np.testing.assert_allclose(
                as_float(one), as_float(two), atol=tolerance, rtol=tolerance, err_msg=kind
            )
        assert all(np.isfinite(as_float(gradient)).all() for gradient in gradients), kind
        if case.public in losses.__all__:
            assert results[0].dtype == ("float64" if dtype == "float64" else "float32")


@each_case
def test_within_a_saved_and_reloaded_model(case, tmp_path):
    arrays = as_tensors([*case.inputs("usual", 7), np.zeros(7)], "float32")
    inputs = [keras.Input(x.shape[1:], dtype=x.dtype) for x in arrays]
    model = keras.Model(inputs, Holder(CASES.index(case))(inputs))
    model(arrays)  # a bank has something to save
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    for one, two in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    for one, two in zip(
        tf.nest.flatten(model(arrays)), tf.nest.flatten(again(arrays)), strict=True
    ):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.from_one], ids=lambda case: case.id
)
def test_layer_test_of_keras(case):
    output = layer_test(
        Holder,
        kwargs={"case": CASES.index(case), "one_tensor": True},
        input_shape=(4, 6, WIDTH),
        custom_objects={"Holder": Holder},
    )
    assert output.shape[0] == 4 and np.isfinite(output).all()


def test_layer_test_leaves_out_only_what_it_cannot_call():
    left_out = [case for case in CASES if case.is_layer and not case.from_one]
    assert {case.public for case in left_out} == {"LearnedTemperature", "MemoryBank"}
    assert all(case.no_layer_test for case in left_out)
