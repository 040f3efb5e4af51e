import threading
from pathlib import Path

from tensorwire.repository.crew import LOOKING_THREADS, Crew
from tensorwire.repository.local_source import LocalSource
from tensorwire.repository.source import open_source


def test_what_is_local_waits_for_no_store(tmp_path: Path) -> None:
    crew, going_on, done = Crew.of(1), threading.Event(), threading.Event()
    store, local = open_source("memory://m"), LocalSource(tmp_path)
    for _ in range(LOOKING_THREADS + 1):
        crew.looking_at(store).run(lambda: going_on.wait(30))
    crew.looking_at(local).run(done.set)
    try:
        assert done.wait(10)
    finally:
        going_on.set()
        crew.stop()
