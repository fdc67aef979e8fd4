from __future__ import annotations

import random
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from served_models import publish_texts
from servicer import Servicer, serve

from tfrec_vis.errors import InputError
from tfrec_vis.serving import Client, ServingError

PICTURES = [b"\xff\xd8\xff\x00\x01", b"", b"\x00", "zoë".encode()]
Make = Callable[..., Client]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    publish_texts(root, 1)
    publish_texts(root, 10)
    return root


@pytest.fixture(scope="module")
def listening(root: Path) -> Iterator[Servicer]:
    with Servicer(root) as server:
        yield server


@pytest.fixture
def server(listening: Servicer) -> Iterator[Servicer]:
    """The server, without what another test asked of it."""
    yield listening
    listening.calm()


@pytest.fixture(params=["grpc", "rest"])
def connect(server: Servicer, request: pytest.FixtureRequest) -> Iterator[Make]:
    """Makes clients of either protocol."""
    made: list[Client] = []

    def make(**options: Any) -> Client:
        address = server.address if request.param == "grpc" else server.rest_address
        settings = {"protocol": request.param, "timeout": 20.0, **options}
        made.append(Client(settings.pop("address", address), **settings))
        return made[-1]

    yield make
    for client in made:
        client.close()


def rows_of(count: int) -> dict[str, Any]:
    """Histories of all lengths up to 6."""
    draw = random.Random(count)
    return {
        "item_id": [f"item {draw.randint(0, 10**9)}é" for _ in range(count)],
        "history_item_id": [[str(i)] * draw.randint(0, 6) for i in range(count)],
        "timestamp": [draw.randint(0, 10**6) for _ in range(count)],
    }


def scores_of(rows: dict[str, Any], factor: float = 10) -> list[float]:
    """What the model is to answer."""
    return [
        factor * (len(item.encode()) + len(history)) + moment
        for item, history, moment in zip(*rows.values(), strict=True)
    ]


def test_answers_are_those_of_the_saved_model(connect: Make, root: Path) -> None:
    signatures = tf.saved_model.load(str(root / "texts/2")).signatures
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


def test_versions(connect: Make, root: Path, server: Servicer) -> None:
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


@pytest.mark.parametrize("code", ["UNAVAILABLE", "RESOURCE_EXHAUSTED"])
def test_what_passes_is_tried_again(connect: Make, server: Servicer, code: str) -> None:
    server.faults.extend([(code, "busy")] * 2)
    rows = rows_of(2)
    found = connect(retries=2).predict("texts", rows)
    np.testing.assert_array_equal(found["score"], scores_of(rows))
    assert server.answered == {code: 2, "OK": 1}


def test_no_more_often_than_asked(connect: Make, server: Servicer) -> None:
    server.faults.extend([("UNAVAILABLE", "busy\nat present")] * 9)
    with pytest.raises(ServingError, match="UNAVAILABLE after 3 attempts: busy at present; "):
        connect(retries=2).predict("texts", rows_of(2))
    assert server.answered == {"UNAVAILABLE": 3}
    with pytest.raises(ServingError, match="UNAVAILABLE: busy at present; "):
        connect(retries=0).predict("texts", rows_of(2))
    assert server.answered == {"UNAVAILABLE": 4}


@pytest.mark.parametrize("code", ["INTERNAL", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED"])
def test_other_errors_are_final(connect: Make, server: Servicer, code: str) -> None:
    server.faults.append((code, "no"))
    with pytest.raises(ServingError, match=f"{code}: no; "):
        connect(retries=5).predict("texts", rows_of(2))
    assert server.answered == {code: 1}


def test_pauses_grow_and_differ(
    connect: Make, server: Servicer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.faults.extend([("UNAVAILABLE", "busy")] * 7)
    limits = []
    monkeypatch.setattr(random, "uniform", lambda low, high: limits.append((low, high)) or 0.0)
    connect(retries=7).predict("texts", rows_of(1))
    assert limits == [(0, high) for high in (0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0)]


def seconds_until_refused(client: Client, **options: Any) -> tuple[float, ServingError]:
    started = time.monotonic()
    with pytest.raises(ServingError) as caught:
        client.predict("texts", rows_of(30), **options)
    return time.monotonic() - started, caught.value


def test_a_slow_answer_is_not_waited_for(connect: Make, server: Servicer) -> None:
    client = connect()
    client.predict("texts", rows_of(1))
    server.delay = 1.5
    for options in ({}, {"timeout": 0.3}):
        client.timeout = 20 if options else 0.3
        seconds, error = seconds_until_refused(client, **options)
        assert error.code == "DEADLINE_EXCEEDED"
        assert "raise timeout, or send fewer rows" in str(error)
        assert 0.25 < seconds < 1.2


def test_attempts_and_pauses_end_at_the_deadline(connect: Make, server: Servicer) -> None:
    client = connect(timeout=0.8, retries=10**6)
    server.faults.extend([("UNAVAILABLE", "busy")] * 10**4)
    seconds, error = seconds_until_refused(client)
    assert error.code in ("UNAVAILABLE", "DEADLINE_EXCEEDED")  # it may come within an attempt
    assert error.attempts > 2
    assert seconds < 1.5


def test_batches_share_the_deadline(connect: Make, server: Servicer) -> None:
    server.delay = 0.25  # 10 batches, two at a time, would take 1.25 s
    seconds, error = seconds_until_refused(connect(timeout=0.6, max_batch=3, parallel=2))
    assert error.code == "DEADLINE_EXCEEDED"
    assert seconds < 1.2


def test_nobody_there(connect: Make) -> None:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    seconds, error = seconds_until_refused(connect(address=f"localhost:{port}", timeout=3))
    assert (error.code, error.attempts) == ("UNAVAILABLE", 3)
    assert f"texts at localhost:{port}: UNAVAILABLE after 3 attempts: " in str(error)
    assert "is it running there" in str(error)
    assert seconds < 3


def test_somebody_who_does_not_answer(connect: Make) -> None:
    with socket.socket() as silent:
        silent.bind(("localhost", 0))
        silent.listen()
        address = f"localhost:{silent.getsockname()[1]}"
        seconds, error = seconds_until_refused(connect(address=address, timeout=0.5))
    assert error.code in ("DEADLINE_EXCEEDED", "UNAVAILABLE")
    assert 0.4 < seconds < 2


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


def test_the_servers_limit(root: Path) -> None:
    with Servicer(root, max_message_bytes=10_000) as server, Client(server.address) as client:
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


@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_a_full_queue_is_said_and_passes(root: Path, protocol: str) -> None:
    with Servicer(root, workers=1, queue=2) as server:
        address = server.address if protocol == "grpc" else server.rest_address
        with Client(address, protocol=protocol, timeout=20, retries=0) as client:
            client.predict("texts", rows_of(1))
            server.answered.clear()
            server.delay = 0.3
            errors: list[ServingError] = []
            scores: list[np.ndarray] = []

            def ask() -> None:
                try:
                    scores.append(client.predict("texts", rows_of(3))["score"])
                except ServingError as error:
                    errors.append(error)

            threads = [threading.Thread(target=ask) for _ in range(12)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(20)
            assert len(errors) + len(scores) == 12
            assert {error.code for error in errors} == {"RESOURCE_EXHAUSTED"}
            assert "the queue of 2 requests is full; the server has more" in str(errors[0])
            assert server.answered == {"OK": len(scores), "RESOURCE_EXHAUSTED": len(errors)}
            assert len(scores) >= 3
            for found in scores:
                np.testing.assert_array_equal(found, scores_of(rows_of(3)))
            server.delay = 0
            assert client.predict("texts", rows_of(2))["score"].shape == (2,)


@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_a_server_that_comes_back_is_found(root: Path, protocol: str) -> None:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    place = {"port" if protocol == "grpc" else "rest_port": port}
    with Client(f"localhost:{port}", protocol=protocol, timeout=20, retries=30) as client:
        with Servicer(root, **place):
            client.predict("texts", rows_of(1))
        with pytest.raises(ServingError, match="UNAVAILABLE"):
            client.predict("texts", rows_of(1), timeout=0.3)
        with Servicer(root, **place):
            assert client.predict("texts", rows_of(2))["score"].shape == (2,)


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


def test_serve_gives_the_address(root: Path) -> None:
    with serve(root) as address, Client(address, timeout=20) as client:
        assert client.status("texts").keys() == {1, 2}
