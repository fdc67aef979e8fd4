from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from served_models import rows_of, scores_of
from servicer import Servicer

from tfrec_vis.serving import Client, ServingError

Make = Callable[..., Client]


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
    server.delay = 3
    for options in ({}, {"timeout": 0.3}):
        client.timeout = 20 if options else 0.3
        seconds, error = seconds_until_refused(client, **options)
        assert error.code == "DEADLINE_EXCEEDED"
        assert "raise timeout, or send fewer rows" in str(error)
        assert 0.25 < seconds < 2.5


def test_attempts_and_pauses_end_at_the_deadline(connect: Make, server: Servicer) -> None:
    client = connect(timeout=2.5, retries=10**6)
    server.faults.extend([("UNAVAILABLE", "busy")] * 10**4)
    seconds, error = seconds_until_refused(client)
    assert error.code in ("UNAVAILABLE", "DEADLINE_EXCEEDED")  # it may come within an attempt
    assert error.attempts > 2
    assert 1.5 < seconds < 3.5


def test_batches_share_the_deadline(connect: Make, server: Servicer) -> None:
    server.delay = 0.6  # 10 batches, two at a time, would take 3 s
    seconds, error = seconds_until_refused(connect(timeout=0.6, max_batch=3, parallel=2))
    assert error.code == "DEADLINE_EXCEEDED"
    assert seconds < 2.5


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


@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_a_full_queue_is_said_and_passes(texts_root: Path, protocol: str) -> None:
    with Servicer(texts_root, workers=1, queue=2) as server:
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
def test_a_server_that_comes_back_is_found(texts_root: Path, protocol: str) -> None:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    place = {"port" if protocol == "grpc" else "rest_port": port}
    with Client(f"localhost:{port}", protocol=protocol, timeout=20, retries=30) as client:
        with Servicer(texts_root, **place):
            client.predict("texts", rows_of(1))
        with pytest.raises(ServingError, match="UNAVAILABLE"):
            client.predict("texts", rows_of(1), timeout=0.3)
        with Servicer(texts_root, **place):
            assert client.predict("texts", rows_of(2))["score"].shape == (2,)
