"""An S3 server process, something that meddles before it, and a cache of the test's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from stores_support import Bucket

from harness.stores import (
    S3_ENVIRONMENT,
    Between,
    FileServer,
    S3Server,
    forget_s3_connections,
    running,
)
from tensorwire.repository.stores.cache import StoreCache


@pytest.fixture(scope="session")
def s3_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    server = S3Server(tmp_path_factory.mktemp("s3"))
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def between(s3_process: S3Server) -> Iterator[Between]:
    """One for all tests: fsspec keeps its connections by the environment they were made in."""
    with running(Between(port=s3_process.port)) as server, pytest.MonkeyPatch.context() as patch:
        for name, value in {**S3_ENVIRONMENT, "AWS_ENDPOINT_URL": server.url}.items():
            patch.setenv(name, value)
        forget_s3_connections()
        yield server
        forget_s3_connections()


@pytest.fixture
def bucket(
    s3_process: S3Server, between: Between, request: pytest.FixtureRequest
) -> Iterator[Bucket]:
    """A bucket of the test's own."""
    between.meddle = None
    between.asked.clear()
    name = "".join(c if c.isalnum() else "-" for c in request.node.name.lower())[:60].strip("-")
    client = s3_process.client()
    client.create_bucket(Bucket=name)
    yield Bucket(client, name)
    between.meddle = None
    client.close()


@pytest.fixture
def cache(tmp_path: Path) -> StoreCache:
    return StoreCache(tmp_path / "cache", 64 << 20)


@pytest.fixture
def web() -> Iterator[FileServer]:
    with running(FileServer()) as server:
        yield server
