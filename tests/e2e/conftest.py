"""Fixtures of the end-to-end tests: a shared server, special ones, and their clients."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import grpc
import pytest

from harness.predict import PredictionClient
from harness.server_process import ServerProcess, model_arguments
from harness.text_client import TextClient, generate
from models.make_models import HEALTHY, IDENTITY_DTYPES

Start = Callable[..., ServerProcess]


@pytest.fixture(scope="session")
def server(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server with every healthy model, for tests that leave it as it was."""
    names = [*HEALTHY, *(f"identity_{dtype}" for dtype in IDENTITY_DTYPES)]
    arguments = model_arguments({name: models / name for name in names})
    process = ServerProcess(arguments, tmp_path_factory.mktemp("server"))
    try:
        process.wait_serving()
        yield process
        process.stop()
    finally:
        process.kill()


@pytest.fixture(scope="session")
def channel(server: ServerProcess) -> grpc.Channel:
    return server.channel()


@pytest.fixture(scope="session")
def client(channel: grpc.Channel) -> PredictionClient:
    """TensorFlow Serving's stubs, calling the shared server."""
    return PredictionClient(channel)


@pytest.fixture(scope="session")
def text_modules(tmp_path_factory: pytest.TempPathFactory) -> tuple[ModuleType, ModuleType]:
    """The text service's generated messages and stubs."""
    return generate(tmp_path_factory.mktemp("text_client"))


@pytest.fixture(scope="session")
def text_client(channel: grpc.Channel, text_modules: tuple[ModuleType, ModuleType]) -> TextClient:
    return TextClient(*text_modules, channel)


def _starter(folder: Path) -> Iterator[Start]:
    started: list[ServerProcess] = []

    def start(*arguments: str, **options: object) -> ServerProcess:
        process = ServerProcess(arguments, folder / f"server{len(started)}", **options)
        started.append(process)
        return process

    try:
        yield start
    finally:
        for process in started:
            process.kill()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a server of the test's own; it is killed, if need be, after the test."""
    yield from _starter(tmp_path)


@pytest.fixture(scope="module")
def start_for_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """As `start`, for a server that the tests of a module share."""
    yield from _starter(tmp_path_factory.mktemp("servers"))
