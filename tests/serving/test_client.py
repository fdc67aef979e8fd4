from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from served_models import publish_texts, rows_of, scores_of
from servicer import Servicer, serve

from tfrec_vis.errors import InputError
from tfrec_vis.serving import Client, ServingError

PICTURES = [b"\xff\xd8\xff\x00\x01", b"", b"\x00", "zoë".encode()]
Make = Callable[..., Client]


def test_answers_are_those_of_the_saved_model(connect: Make, texts_root: Path) -> None:
    signatures = tf.saved_model.load(str(texts_root / "texts/2")).signatures
    client = connect()
    expected = signatures["pictures"](image_bytes=tf.constant(PICTURES))
    found = client.predict("texts", {"image_bytes": PICTURES}, signature="pictures")
    assert set(found) == set(expected) == {"size", "pixels", "head_bytes", "names"}
    for name, values in expected.items():
        assert found[name].dtype == values.numpy().dtype
        assert found[name].tolist() == values.numpy().tolist()
    rows = rows_of(7)
    found = client.predict("texts", rows)
    assert set(found) == {"score"}
    assert (found["score"].dtype, found["score"].shape) == (np.float32, (7,))
    np.testing.assert_array_equal(found["score"], scores_of(rows))


def test_one_row_and_arrays(connect: Make) -> None:
    rows = {
        "item_id": np.array(["ab"]),
        "history_item_id": np.array([["x", "", "y"]]),
        "timestamp": np.array([5]),
    }
    assert connect().predict("texts", rows)["score"].tolist() == [10 * (2 + 2) + 5]


def test_no_rows_give_outputs_of_the_right_kind(connect: Make, server: Servicer) -> None:
    client = connect()
    empty = client.predict("texts", {"image_bytes": []}, signature="pictures")
    assert {n: (v.dtype.str, v.shape) for n, v in empty.items()} == {
        "size": ("<i4", (0,)),
        "pixels": ("<f4", (0, 2)),
        "head_bytes": ("|O", (0,)),
        "names": ("|O", (0, 2)),
    }
    assert not server.answered
    with pytest.raises(ServingError, match="no signature 'nope', there are pictures, serving_def"):
        client.predict("texts", {"image_bytes": []}, signature="nope")


@pytest.mark.parametrize("count", [9, 10, 11, 95])
def test_many_rows_are_sent_in_batches_and_put_together_in_order(
    connect: Make, server: Servicer, count: int
) -> None:
    rows = rows_of(count)
    found = connect(max_batch=10).predict("texts", rows)
    np.testing.assert_array_equal(found["score"], scores_of(rows))
    assert server.answered == {"OK": -(-count // 10)}


def test_a_failed_batch_fails_the_call(connect: Make) -> None:
    rows = rows_of(60)
    rows["item_id"][35] = ""
    with pytest.raises(ServingError, match="INVALID_ARGUMENT.*an item_id is empty"):
        connect(max_batch=10).predict("texts", rows)


def test_versions(connect: Make, texts_root: Path, server: Servicer) -> None:
    client, rows = connect(), rows_of(3)
    for version, factor in ((1, 1), (2, 10), (None, 10)):
        found = client.predict("texts", rows, version=version)
        np.testing.assert_array_equal(found["score"], scores_of(rows, factor))
        assert client.metadata("texts", version=version)["version"] == (version or 2)
    available = {"state": "AVAILABLE", "error": ""}
    assert client.status("texts") == {2: available, 1: available}
    with pytest.raises(ServingError, match="NOT_FOUND: .*texts, 3.*status"):
        client.predict("texts", rows, version=3)


def test_a_new_version_is_taken_up(tmp_path: Path) -> None:
    publish_texts(tmp_path, 1)
    rows = rows_of(2)
    with Servicer(tmp_path) as server:
        clients = [
            Client(server.address, timeout=20),
            Client(server.rest_address, protocol="rest", timeout=20),
        ]
        for factor in (1, 2):
            for client in clients:
                found = client.predict("texts", rows)["score"]
                np.testing.assert_array_equal(found, scores_of(rows, factor))
            publish_texts(tmp_path, 2)
            server.poll()
        for client in clients:
            client.close()


def test_metadata(connect: Make) -> None:
    found = connect().metadata("texts")
    assert found["version"] == 2
    assert found["signatures"] == {
        "serving_default": {
            "inputs": {
                "item_id": ("string", [None]),
                "history_item_id": ("string", [None, None]),
                "timestamp": ("int64", [None]),
            },
            "outputs": {"score": ("float32", [None])},
        },
        "pictures": {
            "inputs": {"image_bytes": ("string", [None])},
            "outputs": {
                "size": ("int32", [None]),
                "pixels": ("float32", [None, 2]),
                "head_bytes": ("string", [None]),
                "names": ("string", [None, 2]),
            },
        },
    }


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({"item_id": ["", "a"]}, "INVALID_ARGUMENT", "an item_id is empty"),
        ({"timestamp": ["a", "b"]}, "INVALID_ARGUMENT", "int64|convert"),
        ({"more": [1, 2]}, "INVALID_ARGUMENT", "more|keys must be equal"),
    ],
)
def test_wrong_inputs_are_answered_with_the_models_reason(
    connect: Make, server: Servicer, change: dict[str, Any], code: str, message: str
) -> None:
    with pytest.raises(ServingError, match=message) as caught:
        connect(retries=5).predict("texts", {**rows_of(2), **change})
    line = str(caught.value)
    assert re.fullmatch(rf"texts at localhost:\d+: {code}: .*; Client.metadata\(model\) .*", line)
    assert (caught.value.code, caught.value.attempts) == (code, 1)


@pytest.mark.parametrize("ask", ["predict", "metadata", "status"])
def test_an_unknown_model(connect: Make, ask: str) -> None:
    client = connect()
    more = [{"x": [1]}] if ask == "predict" else []
    with pytest.raises(ServingError) as caught:
        getattr(client, ask)("größe/nope", *more)
    assert caught.value.code == "NOT_FOUND"
    assert caught.value.model == "größe/nope"
    assert "größe/nope" in caught.value.details


def test_too_large_a_message_is_not_sent_again(connect: Make, server: Servicer) -> None:
    client = connect(max_message_bytes=10_000)
    with pytest.raises(ServingError, match="MESSAGE_TOO_LARGE: .*10000.*; lower max_batch"):
        client.predict("texts", {"image_bytes": [b"x" * 20_000]}, signature="pictures")
    assert not server.answered
    sizes = client.predict("texts", {"image_bytes": [b"x" * 5_000]}, signature="pictures")["size"]
    assert sizes.tolist() == [5000]


def test_more_than_the_usual_four_megabytes(connect: Make) -> None:
    picture = np.random.default_rng(0).bytes(9 * 2**20)
    found = connect().predict("texts", {"image_bytes": [picture]}, signature="pictures")
    assert found["size"].tolist() == [len(picture)]
    assert found["head_bytes"].tolist() == [picture[:4]]


def test_the_servers_limit(texts_root: Path) -> None:
    with Servicer(texts_root, max_message_bytes=10_000) as server, Client(server.address) as client:
        with pytest.raises(ServingError, match="MESSAGE_TOO_LARGE: .*larger than max"):
            client.predict("texts", {"image_bytes": [b"x" * 20_000]}, signature="pictures")


def test_threads_share_a_client(connect: Make, server: Servicer) -> None:
    client = connect(max_batch=7)
    requests = [rows_of(count) for count in range(1, 41)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda rows: client.predict("texts", rows)["score"], requests))
    for rows, found in zip(requests, answers, strict=True):
        np.testing.assert_array_equal(found, scores_of(rows))
    assert set(server.answered) == {"OK"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"protocol": "http"}, "protocol: expected grpc or rest, got 'http'"),
        ({"address": "http://localhost:8501"}, "address: expected host:port"),
        ({"address": "localhost"}, "address: expected host:port"),
        ({"max_batch": 0}, "max_batch: expected 1 or more, got 0"),
        ({"retries": -1}, "retries: expected 0 or more, got -1"),
        ({"parallel": 0}, "parallel: expected 1 or more, got 0"),
    ],
)
def test_wrong_settings(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Client(**{"address": "localhost:1", **options})


def test_wrong_rows_do_not_leave_the_client(connect: Make, server: Servicer) -> None:
    with pytest.raises(InputError, match="same number of rows"):
        connect().predict("texts", {**rows_of(3), "timestamp": [1]})
    assert not server.answered


def test_rest_needs_neither_tensorflow_nor_grpc(server: Servicer) -> None:
    code = (
        "import sys\n"
        "import tfrec_vis.serving\n"
        "names = 'tensorflow', 'grpc', 'tensorflow_serving'\n"
        "assert not any(name in sys.modules for name in names)\n"
        "with tfrec_vis.serving.Client(sys.argv[1], protocol='rest', timeout=20) as client:\n"
        "    sent = {'item_id': ['ab'], 'history_item_id': [['c']], 'timestamp': [4]}\n"
        "    assert client.predict('texts', sent)['score'].tolist() == [34]\n"
        "assert not any(name in sys.modules for name in names)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, server.rest_address], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_serve_gives_the_address(texts_root: Path) -> None:
    with serve(texts_root) as address, Client(address, timeout=20) as client:
        assert client.status("texts").keys() == {1, 2}
