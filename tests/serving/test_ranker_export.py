from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from clean_process import call_in_clean_process
from ranker_cases import (
    CONTEXT,
    ROWS,
    START,
    Request,
    as_examples,
    as_request,
    impressions,
    ranker_and_scores,
    tables,
    tensors,
)

from tfrec_vis.errors import InputError
from tfrec_vis.ranking import Ranker
from tfrec_vis.serving import WarmupCall, export_ranker, read_warmup, write_warmup
from tfrec_vis.serving.click_history import compact_history

# Every feature and every ranker; the last with everything.
CASES = (
    ("none", "din"),
    ("vector", "dcn"),
    ("sim_score", "dlrm"),
    ("cluster_id+semantic_id", "dcn"),
    ("vector+sim_score+cluster_id+sim_tier+semantic_id", "din"),
)


@pytest.fixture(scope="module")
def exported(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, tuple[Path, np.ndarray]]]:
    """feature -> (SavedModel, evaluate's scores)."""
    root = tmp_path_factory.mktemp("rankers")
    found = {}
    for feature, kind in CASES:
        ranker, scores = ranker_and_scores(feature, kind)
        export_ranker(ranker, tables(), root / feature)
        found[feature] = root / feature, scores
    yield found


def test_replay_gives_evaluates_scores_where_only_tensorflow_is(
    exported: dict[str, tuple[Path, np.ndarray]], tmp_path: Path
) -> None:
    request = as_request(impressions())
    calls = []
    for path, _ in exported.values():
        calls.append((path, "serving_default", tensors(request)))
        calls.append((path, "examples", {"examples": as_examples(request)}))
    outputs = call_in_clean_process(calls, tmp_path)
    for i, (_, scores) in enumerate(exported.values()):
        assert scores.std() > 0.02
        for output in outputs[2 * i : 2 * i + 2]:
            assert set(output) == {"ctr"}
            assert output["ctr"].dtype == np.float32
            np.testing.assert_allclose(output["ctr"], scores, rtol=0, atol=1e-5)


@pytest.mark.parametrize("rows", [0, 1])
def test_batches_of_none_and_one(exported: dict[str, tuple[Path, np.ndarray]], rows: int) -> None:
    path, scores = exported["sim_score"]
    signatures = tf.saved_model.load(str(path)).signatures
    request = {name: values[:rows] for name, values in as_request(impressions()).items()}
    by_name = signatures["serving_default"](**tensors(request))["ctr"]
    by_example = signatures["examples"](
        examples=as_examples(request) if rows else tf.zeros([0], tf.string)
    )["ctr"]
    np.testing.assert_allclose(by_name, scores[:rows], rtol=0, atol=1e-5)
    np.testing.assert_allclose(by_example, scores[:rows], rtol=0, atol=1e-5)


def test_a_history_of_no_columns_is_an_empty_one(
    exported: dict[str, tuple[Path, np.ndarray]],
) -> None:
    request = as_request(impressions())
    for path, _ in exported.values():
        call = tf.saved_model.load(str(path)).signatures["serving_default"]
        outputs = [
            call(**tensors({**request, "history_item_id": np.full([ROWS, length], "")}))["ctr"]
            for length in (0, 1, 51)
        ]
        np.testing.assert_allclose(outputs[0], outputs[1], atol=1e-6)
        np.testing.assert_allclose(outputs[0], outputs[2], atol=1e-6)


def test_examples_may_leave_out_user_history_and_context(
    exported: dict[str, tuple[Path, np.ndarray]],
) -> None:
    request = as_request(impressions())
    signatures = tf.saved_model.load(str(exported["none"][0])).signatures
    bare = {name: request[name] for name in ("item_id", "timestamp")}
    unknown = {name: np.full(ROWS, "") for name in ("user_id", *CONTEXT)}
    expected = signatures["serving_default"](
        **tensors({**bare, **unknown, "history_item_id": np.full([ROWS, 0], "")})
    )["ctr"]
    examples = []
    for item, moment in zip(request["item_id"], request["timestamp"], strict=True):
        record = tf.train.Example()
        record.features.feature["item_id"].bytes_list.value.append(str(item).encode())
        record.features.feature["timestamp"].int64_list.value.append(moment)
        examples.append(record.SerializeToString())
    found = signatures["examples"](examples=tf.constant(examples))["ctr"]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_signature_is_named_and_typed(exported: dict[str, tuple[Path, np.ndarray]]) -> None:
    call = tf.saved_model.load(str(exported["none"][0])).signatures["serving_default"]
    _, inputs = call.structured_input_signature
    assert {name: (spec.shape.as_list(), spec.dtype) for name, spec in inputs.items()} == {
        "user_id": ([None], tf.string),
        "item_id": ([None], tf.string),
        "history_item_id": ([None, None], tf.string),
        "timestamp": ([None], tf.int64),
        "device": ([None], tf.string),
        "page_type": ([None], tf.string),
    }


def test_cold_is_there_where_it_can_be(exported: dict[str, tuple[Path, np.ndarray]]) -> None:
    """Visual features need the encoder for it; without them there is nothing to need."""
    for feature, others in (("none", {"cold"}), ("vector", set())):
        signatures = tf.saved_model.load(str(exported[feature][0])).signatures
        assert set(signatures) == {"serving_default", "examples", *others}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"history_item_id": np.full([ROWS, 52], "")}, "at most 51 clicks"),
        ({"timestamp": np.full(ROWS, START * 1000)}, "timestamp in seconds"),
        ({"user_id": np.array(["ann"])}, "same number of rows"),
    ],
)
def test_a_wrong_request_is_refused_with_the_reason(
    exported: dict[str, tuple[Path, np.ndarray]], change: Request, message: str
) -> None:
    call = tf.saved_model.load(str(exported["none"][0])).signatures["serving_default"]
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        call(**tensors({**as_request(impressions()), **change}))


def test_cosines_need_vectors(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="vectors to compute them from"):
        export_ranker(Ranker(tables(), "sim_score"), tables(), tmp_path)


def test_a_history_beyond_what_a_request_can_fill_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="evaluate.history: .* at most 50 clicks, got 51; lower"):
        export_ranker(Ranker(tables()), replace(tables(), history=51), tmp_path)


def test_the_newest_51_clicks_with_the_target_fill_a_history_of_50(tmp_path: Path) -> None:
    items, random = np.arange(1, 61), np.random.default_rng(8)
    known = replace(
        tables(),
        history=50,
        item_id=np.array(["", *(f"{i:02d}" for i in items)]),
        values=np.stack([np.arange(61)] * 2, axis=1).astype(np.int32),
        buckets=(np.arange(61, dtype=np.int32),) * 2,
        rarity=np.ones([61, 2], np.float32),
    )
    ranker = Ranker(known)
    for variable in ranker.trainable_variables:
        variable.assign(random.normal(scale=0.25, size=variable.shape))
    export_ranker(ranker, known, tmp_path)
    call = tf.saved_model.load(str(tmp_path)).signatures["serving_default"]
    sent = random.permutation(items)[:51]
    request = {name: values[:1] for name, values in as_request(impressions()).items()}
    request["item_id"] = known.item_id[sent[[20]]]
    request["history_item_id"] = known.item_id[sent][None]
    row = replace(
        impressions().take(np.arange(1)),
        item_index=sent[[20]].astype(np.int32),
        history=np.delete(sent, 20)[None].astype(np.int32),
    )
    expected = tf.sigmoid(ranker(known.inputs(row)))
    np.testing.assert_allclose(call(**tensors(request))["ctr"], expected, atol=1e-6)
    request["history_item_id"][0, -1] = ""  # the oldest counts
    assert abs(call(**tensors(request))["ctr"] - expected).numpy().max() > 1e-6


@pytest.mark.parametrize("name", ["page-type", "history_item_id", "größe"])
def test_a_context_feature_needs_a_name_that_an_input_can_have(name: str, tmp_path: Path) -> None:
    ranker = Ranker(tables())
    with pytest.raises(InputError, match=f"{name}.*rename"):
        export_ranker(ranker, replace(tables(), context={name: np.array(["a"])}), tmp_path)


def test_compact_history_against_a_loop() -> None:
    random = np.random.default_rng(6)
    history = random.integers(0, 6, [200, 9]).astype(np.int32)
    target = random.integers(0, 6, 200).astype(np.int32)
    expected = np.zeros([200, 3], np.int32)
    for row in range(200):
        distinct: list[int] = []
        for item in history[row]:
            if item and item != target[row] and item not in distinct:
                distinct.append(item)
        expected[row, : len(distinct)] = distinct[:3]
    np.testing.assert_array_equal(compact_history(history, target, 3), expected)


def test_answers_a_hundred_rows_quickly(exported: dict[str, tuple[Path, np.ndarray]]) -> None:
    call = tf.saved_model.load(str(exported["sim_score"][0])).signatures["serving_default"]
    request = as_request(impressions().take(np.arange(100) % ROWS))
    sent = tensors(request)
    seconds = []
    for _ in range(30):
        start = time.perf_counter()
        call(**sent)
        seconds.append(time.perf_counter() - start)
    assert np.median(seconds[5:]) < 0.05


def test_warm_up_is_a_request_the_model_answers(
    exported: dict[str, tuple[Path, np.ndarray]],
) -> None:
    path, scores = exported["vector"]
    sent = WarmupCall(as_request(impressions()), {"ctr": scores})
    write_warmup(path, [sent], "ranker")
    (read,) = read_warmup(path)
    assert read.signature == "serving_default"
    call = tf.saved_model.load(str(path)).signatures["serving_default"]
    answer = call(**{name: tf.constant(value) for name, value in read.inputs.items()})
    np.testing.assert_allclose(answer["ctr"], read.outputs["ctr"], rtol=0, atol=1e-5)
