"""A server of small models, and clients of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from servicer import Servicer

from tfrec_vis.serving import Client

Make = Callable[..., Client]


@pytest.fixture(scope="session")
def texts_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two versions of ``texts``, of factors 1 and 10. Read only."""
    from served_models import publish_texts

    root = tmp_path_factory.mktemp("models")
    publish_texts(root, 1)
    publish_texts(root, 10)
    return root


@pytest.fixture(scope="session")
def listening(texts_root: Path) -> Iterator[Servicer]:
    with Servicer(texts_root) as server:
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
