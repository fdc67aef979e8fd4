from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from clean_process import call_in_clean_process
from tensorflow_serving.apis import prediction_log_pb2

from tfrec_vis.data import Impressions
from tfrec_vis.errors import InputError
from tfrec_vis.ranking import Ranker, RankerTables, Trainer
from tfrec_vis.serving import WarmupCall, export_ranker, write_warmup
from tfrec_vis.serving.click_history import compact_history

ITEMS, WIDTH, HISTORY, ROWS, DAY = 30, 5, 6, 40, 86_400
ITEM_IDS = np.array(["", *(f"0{i:03d}é" for i in range(1, ITEMS + 1))])
USERS = np.array(["ann", "bob", "zoë"])
CONTEXT = {"device": np.array(["", "phone"]), "page_type": np.array(["cart"])}
START = 1_600_000_000

# Every feature and every ranker; the last with everything.
CASES = (
    ("none", "din"),
    ("vector", "dcn"),
    ("sim_score", "dlrm"),
    ("cluster_id+semantic_id", "dcn"),
    ("vector+sim_score+cluster_id+sim_tier+semantic_id", "din"),
)

Request = dict[str, np.ndarray]


def tables() -> RankerTables:
    random = np.random.default_rng(0)
    values = np.stack([np.arange(ITEMS + 1), np.arange(ITEMS + 1) % 4], axis=1).astype(np.int32)
    rare = np.arange(ITEMS + 1) % 5 == 0
    ids = np.where(rare, 0, np.cumsum(~rare)).astype(np.int32)
    return RankerTables(
        history=HISTORY,
        item_id=ITEM_IDS,
        attributes=("item_id", "category"),
        values=values,
        buckets=(ids, np.arange(4, dtype=np.int32)),
        rarity=random.uniform(0.5, 3, [ITEMS + 1, 2]).astype(np.float32),
        user_id=USERS,
        context=CONTEXT,
        click_item=random.integers(1, ITEMS + 1, 200),
        click_time=START + random.integers(0, 60 * DAY, 200),
        shown_item=random.integers(1, ITEMS + 1, 400),
        shown_time=START + random.integers(0, 60 * DAY, 400),
    )


def impressions() -> Impressions:
    """Rows as ``prepare`` writes them; item 0 stands for one that is not in the catalogue."""
    random = np.random.default_rng(1)
    item = random.integers(0, ITEMS + 1, ROWS).astype(np.int32)
    item[:2] = 0
    history = np.zeros([ROWS, HISTORY], np.int32)
    for row, clicks in enumerate(random.integers(0, HISTORY + 1, ROWS)):
        others = np.setdiff1d(np.arange(1, ITEMS + 1), item[row])
        history[row, :clicks] = random.permutation(others)[:clicks]
    history[0] = 0
    nothing = np.zeros(ROWS, bool)
    return Impressions(
        user_id=random.choice([*USERS, "nobody"], ROWS).astype(object),
        page_id=np.array(["p"] * ROWS, object),
        item_index=item,
        clicked=random.integers(0, 2, ROWS).astype(np.int32),
        timestamp=START + random.integers(0, 90 * DAY, ROWS),
        history=history,
        in_pretraining=nothing,
        item_seen_in_training=nothing,
        context={
            "device": random.choice(["", "phone", "tv"], ROWS).astype(object),
            "page_type": random.choice(["cart", "home"], ROWS).astype(object),
        },
    )


def as_request(rows: Impressions) -> Request:
    """The rows as a client sends them: with gaps, strangers, repetitions and the target."""
    random = np.random.default_rng(2)
    item_id = np.where(rows.item_index > 0, ITEM_IDS[rows.item_index], "stranger")
    histories = []
    for item, clicks in zip(item_id, rows.history, strict=True):
        sent = [ITEM_IDS[c] for c in clicks if c]
        for place in random.integers(0, len(sent) + 1, 3):
            sent.insert(place, random.choice(["", "unheard-of", item]))
        histories.append([*sent, *random.permutation(sent)[: random.integers(0, 4)]])
    longest = max(map(len, histories))
    return {
        "user_id": rows.user_id.astype(str),
        "item_id": item_id,
        "history_item_id": np.array([h + [""] * (longest - len(h)) for h in histories]),
        "timestamp": rows.timestamp,
        **{name: values.astype(str) for name, values in rows.context.items()},
    }


def tensors(request: Request) -> dict[str, tf.Tensor]:
    """String arrays become string tensors, also empty ones."""
    return {
        n: tf.constant(v, tf.string if v.dtype.kind == "U" else None) for n, v in request.items()
    }


def as_examples(request: Request) -> tf.Tensor:
    def feature(values: np.ndarray) -> tf.train.Feature:
        if values.dtype.kind == "U":
            encoded = [str(v).encode() for v in values.ravel()]
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=encoded))
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values.ravel()))

    serialized = []
    for row in range(len(request["item_id"])):
        features = {name: feature(values[row : row + 1]) for name, values in request.items()}
        # Each record brings a history of its own length.
        clicks = request["history_item_id"][row]
        features["history_item_id"] = feature(clicks[: len(clicks) - row % 3 * (clicks[-2] == "")])
        features = tf.train.Features(feature=features)
        serialized.append(tf.train.Example(features=features).SerializeToString())
    return tf.constant(serialized)


def item_vectors() -> np.ndarray:
    vectors = np.random.default_rng(3).normal(size=[ITEMS + 1, WIDTH])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[[0, 7]] = 0
    return vectors.astype(np.float32)


def item_tables() -> dict[str, np.ndarray]:
    random = np.random.default_rng(7)
    semantic_ids = random.integers(0, 3, [ITEMS + 1, 2])
    semantic_ids[[0, 7]] = -1
    categories = np.arange(ITEMS + 1) % 4
    clusters = np.arange(-1, ITEMS) % 7
    clusters[[0, 7]] = -1
    return {
        "vectors": item_vectors(),
        "clusters": clusters,
        "semantic_ids": semantic_ids,
        "categories": categories,
        "off": categories == 2,
    }


def ranker_and_scores(feature: str, kind: str) -> tuple[Ranker, np.ndarray]:
    """An untrained ranker of lively weights, and the scores that ``evaluate`` computes.

    It is given the cosines there, and computes them here.
    """
    visual = {"clusters": 7, "semantic": (2, 3), "categories": 4}
    vector_dim = WIDTH if "vector" in feature else 0
    trainer = Trainer(tables(), feature, ranker=kind, visual={**visual, "vector_dim": vector_dim})
    trainer.set_item_tables(**item_tables())
    random = np.random.default_rng(5)
    for variable in trainer.model.trainable_variables:
        variable.assign(random.normal(scale=0.25, size=variable.shape))
    inputs = tables().inputs(impressions())
    if "sim" in feature:
        vectors = item_vectors()
        inputs["cosines"] = np.einsum(
            "nd,nld->nl", vectors[inputs["item"]], vectors[inputs["history"]]
        )
    ranker = Ranker(tables(), feature, ranker=kind, visual={**visual, "vector_dim": WIDTH})
    if ranker.visual is not None:
        ranker.visual.set_tables(**item_tables())
    ranker.set_learned(trainer.model.learned())
    return ranker, trainer.predict(inputs)


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
    request = as_request(impressions())
    write_warmup(path, [WarmupCall(request, {"ctr": scores})], "ranker")
    file = path / "assets.extra/tf_serving_warmup_requests"
    (record,) = tf.data.TFRecordDataset(str(file)).as_numpy_iterator()
    sent = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
    assert (sent.model_spec.name, sent.model_spec.signature_name) == ("ranker", "serving_default")
    call = tf.saved_model.load(str(path)).signatures["serving_default"]
    inputs = {name: tf.constant(tf.make_ndarray(value)) for name, value in sent.inputs.items()}
    np.testing.assert_allclose(call(**inputs)["ctr"], scores, rtol=0, atol=1e-5)
