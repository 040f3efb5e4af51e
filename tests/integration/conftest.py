"""Servers for the tests of the client."""

from collections.abc import Iterator

import pytest
from stub_server import StubServer

import tensorwire as tw


@pytest.fixture
def server() -> Iterator[StubServer]:
    with StubServer() as server:
        yield server


@pytest.fixture
def client(server: StubServer) -> Iterator[tw.Client]:
    with tw.Client(server.address, timeout=20) as client:
        yield client
