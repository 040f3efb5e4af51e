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
