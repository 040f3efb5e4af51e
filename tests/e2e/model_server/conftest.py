"""Servers with TensorFlow Serving's flags."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.model_server import ModelServer

StartModelServer = Callable[..., ModelServer]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[StartModelServer]:
    """Starts a server with these flags; it is killed, if need be, after the test."""
    started: list[ModelServer] = []

    def start(*flags: object, **options: object) -> ModelServer:
        folder = tmp_path / f"server{len(started)}"
        started.append(ModelServer([str(flag) for flag in flags], folder, **options))
        return started[-1]

    try:
        yield start
    finally:
        for process in started:
            process.kill()


@pytest.fixture
def half(models: Path) -> str:
    """The flag that has half_plus_two served, under the name `default`."""
    return f"--model_base_path={models / 'half_plus_two'}"
