import threading
from pathlib import Path

from tensorwire.repository.crew import FETCHING_THREADS, LOOKING_THREADS, Crew
from tensorwire.repository.local_source import LocalSource
from tensorwire.repository.source import open_source


def test_what_is_local_waits_for_no_store(tmp_path: Path) -> None:
    crew, going_on, done = Crew.of(1), threading.Event(), threading.Event()
    store, local = open_source("memory://m"), LocalSource(tmp_path)
    for _ in range(LOOKING_THREADS + FETCHING_THREADS):
        crew.looking_at(store).run(lambda: going_on.wait(30))
        crew.fetching_from(store).run(lambda: going_on.wait(30))
    crew.looking_at(local).run(lambda: crew.fetching_from(local).run(done.set))
    try:
        assert done.wait(10)
    finally:
        going_on.set()
        crew.stop()
