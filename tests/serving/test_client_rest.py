"""REST answers that no well-behaved server gives, from a socket."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from served_models import publish_texts
from servicer import Servicer

from tfrec_vis.serving import Client, ServingError

Handler = Callable[[socket.socket], None]


@contextmanager
def listening(handle: Handler) -> Iterator[str]:
    """The address of a server that handles one connection after the other."""
    server = socket.create_server(("localhost", 0))

    def accept() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                try:
                    handle(connection)
                except OSError:
                    pass

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"localhost:{server.getsockname()[1]}"
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()


def answering(body: bytes, status: str = "200 OK") -> Handler:
    def handle(connection: socket.socket) -> None:
        while connection.recv(65536):
            head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body)

    return handle


def error_of(handle: Handler, **options: float) -> ServingError:
    with listening(handle) as address:
        with Client(address, protocol="rest", **{"timeout": 20, "retries": 0, **options}) as client:
            with pytest.raises(ServingError) as caught:
                client.predict("m", {"x": [1, 2]})
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("body", "status", "code", "message"),
    [
        (b"<html>Bad\nGateway</html>", "502 Bad Gateway", "UNAVAILABLE", "<html>Bad Gateway"),
        (b"", "503 Service Unavailable", "UNAVAILABLE", "an empty answer"),
        (b"", "418 Teapot", "UNKNOWN", "an empty answer"),
        (b"", "507 Full", "INTERNAL", "an empty answer"),
        (b'{"error": "no"}', "200 OK", "UNKNOWN", "no"),
        (b"<html>hello</html>", "200 OK", "UNKNOWN", "<html>hello"),
        (b'["no object"]', "200 OK", "UNKNOWN", "no object"),
        (b'{"predictions": [1]}', "200 OK", "INTERNAL", "predictions for 2 rows, got"),
        (b'{"outputs": [1, 2]}', "200 OK", "INTERNAL", "predictions for 2 rows, got"),
    ],
)
def test_answers_that_are_none(body: bytes, status: str, code: str, message: str) -> None:
    error = error_of(answering(body, status))
    assert error.code == code
    assert message in str(error)


def test_not_http() -> None:
    def handle(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

    assert error_of(handle).code == "UNAVAILABLE"


def test_a_connection_that_breaks_off() -> None:
    def handle(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")

    assert error_of(handle).code == "UNAVAILABLE"


def test_an_answer_in_drops_ends_at_the_deadline() -> None:
    def handle(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(100):
            connection.sendall(b" ")
            time.sleep(0.05)

    started = time.monotonic()
    assert error_of(handle, timeout=0.4).code == "DEADLINE_EXCEEDED"
    assert 0.35 < time.monotonic() - started < 1.5


def test_too_long_an_answer_is_not_read_on() -> None:
    error = error_of(answering(b" " * 200_000), max_message_bytes=100_000)
    assert error.code == "MESSAGE_TOO_LARGE"


def test_connections_are_kept_and_replaced_where_the_server_closed_them(tmp_path) -> None:
    publish_texts(tmp_path, 1)
    rows = {"item_id": ["ab"], "history_item_id": [["c"]], "timestamp": [4]}
    with Servicer(tmp_path) as server:
        with Client(server.rest_address, protocol="rest", timeout=20, retries=0) as client:
            ends = set()
            for _ in range(4):
                assert client.predict("texts", rows)["score"].tolist() == [7]
                (kept,) = client._transport._idle
                ends.add(kept.sock.getsockname())
            assert len(ends) == 1
            kept.sock.shutdown(socket.SHUT_RDWR)
            assert client.predict("texts", rows)["score"].tolist() == [7]
            assert server.answered == {"OK": 5}
