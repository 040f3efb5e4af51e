import queue
import threading
import time

import pytest

from tensorwire.repository.workers import Workers

SOON = 20.0


def test_a_job_that_raises_anything_costs_no_thread(caplog: pytest.LogCaptureFixture) -> None:
    workers = Workers("test", 1)
    done: queue.SimpleQueue[str] = queue.SimpleQueue()

    def fail() -> None:
        raise SystemExit(1)

    workers.run(fail)
    workers.run(lambda: done.put(threading.current_thread().name))
    assert done.get(timeout=SOON) == "tensorwire-test-0"
    assert "SystemExit" in caplog.text
    workers.stop()
    assert workers.join(time.monotonic() + SOON)


def test_where_no_more_threads_are_to_be_had_those_that_there_are_do_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workers = Workers("test", 4)
    begun, go_on = threading.Event(), threading.Event()
    done: queue.SimpleQueue[int] = queue.SimpleQueue()

    def hold() -> None:
        begun.set()
        go_on.wait(SOON)

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    workers.run(hold)
    assert begun.wait(SOON)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        for number in range(3):
            workers.run(lambda number=number: done.put(number))  # type: ignore[misc]
        none = Workers("none", 4)
        with pytest.raises(RuntimeError):
            none.run(hold)
    go_on.set()
    assert [done.get(timeout=SOON) for _ in range(3)] == [0, 1, 2]
    workers.stop()
    assert workers.join(time.monotonic() + SOON)
