"""Every export, by every signature, where there is nothing but TensorFlow.

What must come out was recorded from the Keras models at export, in the warm-up calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from c_api import build, call_through_c, meta_graph
from clean_process import call_in_clean_process

from tfrec_vis.serving import WarmupCall, read_warmup

SIGNATURES = {
    "encoder": ["serving_default", "examples"],
    "ranker": ["serving_default", "examples", "cold"],
    "similar": ["serving_default", "image"],
}


@pytest.fixture(scope="module")
def recorded(tiny_models: Path) -> list[tuple[Path, WarmupCall]]:
    """All recorded calls, each also with one row and with none."""
    found = []
    for name, signatures in SIGNATURES.items():
        calls = read_warmup(tiny_models / name)
        assert [call.signature for call in calls] == signatures
        for call in calls:
            for rows in (None, 1, 0):
                inputs, outputs = (
                    {n: values[:rows] for n, values in part.items()}
                    for part in (call.inputs, call.outputs)
                )
                found.append((tiny_models / name, WarmupCall(inputs, outputs, call.signature)))
    return found


@pytest.fixture(scope="module")
def through_c(
    recorded: list[tuple[Path, WarmupCall]], tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[dict[str, np.ndarray]], set[str]]:
    """What the C API answers, and the operations it has."""
    folder = tmp_path_factory.mktemp("c_api")
    calls = [(model, call.signature, dict(call.inputs)) for model, call in recorded]
    return call_through_c(build(folder), calls, folder)


def check(answer: Mapping[str, np.ndarray], call: WarmupCall) -> None:
    assert set(answer) == set(call.outputs)
    for name, expected in call.outputs.items():
        assert answer[name].shape == expected.shape
        if expected.dtype.kind == "f":
            assert answer[name].dtype == np.float32
            np.testing.assert_allclose(answer[name], expected, rtol=0, atol=1e-5)
        else:
            np.testing.assert_array_equal(answer[name], expected)


def test_the_recorded_calls_tell_rows_apart(recorded: list[tuple[Path, WarmupCall]]) -> None:
    """Otherwise the tests below would say little."""
    for _, call in recorded[::3]:
        for values in call.outputs.values():
            assert len(values) >= 3
            if values.dtype.kind == "f":
                assert values.std(axis=0).max() > 0.01


def test_the_c_api_answers_as_the_keras_model(
    recorded: list[tuple[Path, WarmupCall]],
    through_c: tuple[list[dict[str, np.ndarray]], set[str]],
) -> None:
    for answer, (_, call) in zip(through_c[0], recorded, strict=True):
        check(answer, call)


def test_a_clean_process_answers_as_the_keras_model(
    recorded: list[tuple[Path, WarmupCall]], tmp_path: Path
) -> None:
    calls = [
        (model, call.signature, {n: tensor(v) for n, v in call.inputs.items()})
        for model, call in recorded
    ]
    for answer, (_, call) in zip(call_in_clean_process(calls, tmp_path), recorded, strict=True):
        check(answer, call)


def tensor(values: np.ndarray) -> tf.Tensor:
    return tf.constant(values, tf.string if values.dtype.kind in "OSU" else None)


def operations(model: Path) -> set[str]:
    """Of the graph and of all functions in it, whatever calls them."""
    graph = meta_graph(model).graph_def
    functions = {function.signature.name: function.node_def for function in graph.library.function}
    nodes = [*graph.node, *(node for part in functions.values() for node in part)]
    return {node.op for node in nodes} - set(functions)


@pytest.mark.parametrize("name", SIGNATURES)
def test_every_operation_is_one_of_tensorflow_itself(
    name: str, tiny_models: Path, through_c: tuple[list[dict[str, np.ndarray]], set[str]]
) -> None:
    used = operations(tiny_models / name)
    assert {"StatefulPartitionedCall", "Const", "DecodeImage"} < used
    assert not sorted(used - through_c[1])


def test_an_operation_of_another_library_would_be_found(
    through_c: tuple[list[dict[str, np.ndarray]], set[str]],
) -> None:
    assert {"MatMul", "LookupTableFindV2"} < through_c[1]
    assert not {"IO>DecodeWebP", "RegexSplitWithOffsets", "Scann>ScannSearch"} & through_c[1]
