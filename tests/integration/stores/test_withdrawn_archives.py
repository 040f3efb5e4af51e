"""Archives whose model goes while a look at them downloads."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from stores_support import a_version, tar

from harness.repository_doubles import CannedExporter, RecordingEngine, no_options
from harness.stores import Asked, FileServer, Reply
from tensorwire.errors import ModelLoadError
from tensorwire.repository.model_config import ModelConfig
from tensorwire.repository.reconciler import Reconciler
from tensorwire.repository.stores import open_store
from tensorwire.repository.stores.cache import StoreCache
from tensorwire.repository.stores.locks import FileLock

HOURS_SECONDS = 60.0
"""Before each piece of a download that does not end."""


class SlowServer:
    """A web server of one archive, which it sends slowly while `slow`."""

    def __init__(self, web: FileServer) -> None:
        self.slow = True
        self.asked = threading.Semaphore(0)
        web.files = {"/m.tar": tar(a_version(256 << 10), "w")}
        web.meddle = self._meddle
        self.url = f"{web.url}/m.tar"

    def _meddle(self, asked: Asked, reply: Reply) -> None:
        if asked.method == "GET":
            if self.slow:
                reply.pause = HOURS_SECONDS
            self.asked.release()


@pytest.fixture
def server(web: FileServer) -> SlowServer:
    return SlowServer(web)


@pytest.fixture
def reconciler(cache: StoreCache) -> Iterator[Reconciler]:
    made = Reconciler(
        RecordingEngine(),
        CannedExporter(),
        no_options,
        open_source=lambda model: model.open(cache),
    )
    yield made.start()
    made.stop(0.0)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def is_free(cache: StoreCache) -> bool:
    """Nobody downloads into it."""
    (partial,) = cache.folder.glob("*.partial")
    lock = FileLock.try_take(partial.with_name(f"{partial.name}.lock"), alone=True)
    if lock is not None:
        lock.close()
    return lock is not None


def test_a_look_ends_when_its_source_is_closed(server: SlowServer, cache: StoreCache) -> None:
    source = open_store(server.url, cache)
    errors: list[str] = []

    def look() -> None:
        try:
            source.versions()
        except ModelLoadError as error:
            errors.append(str(error))

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    assert server.asked.acquire(timeout=20)
    source.close()
    looking.join(20)
    assert errors == [f"fetching {server.url} was cancelled"]
    assert is_free(cache)


def test_a_model_that_is_removed_lets_go_of_its_download(
    server: SlowServer, cache: StoreCache, reconciler: Reconciler
) -> None:
    model = ModelConfig("m", server.url)
    reconciler.apply([model])
    assert server.asked.acquire(timeout=20)
    assert reconciler.remove("m").wait(20)
    until(lambda: is_free(cache))
    # And it comes back, at once.
    server.slow = False
    change = reconciler.put(model)
    assert change.wait(20)
    assert [each.error for each in change.outcomes["m"]] == [None]


def test_a_stop_ends_downloads(
    server: SlowServer, cache: StoreCache, reconciler: Reconciler
) -> None:
    reconciler.apply([ModelConfig("m", server.url)])
    assert server.asked.acquire(timeout=20)
    reconciler.stop(10.0)
    until(lambda: is_free(cache))
