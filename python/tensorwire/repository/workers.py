"""Threads that do what would hold up the reconciler: looking, fetching, loading."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue

_log = logging.getLogger("tensorwire.repository")

Job = Callable[[], None]


class Workers:
    """Runs jobs in the order they come, on at most so many threads, started when needed.
    The threads are daemons: a load that can't be interrupted holds up no exit."""

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._most = most
        self._lock = threading.Lock()
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._stopped = False

    def run(self, job: Job) -> None:
        """Has it done. A job answers for its own errors. After `stop`, nothing is done.

        Raises RuntimeError if it needs a first thread, and there is none to be had.
        """
        with self._lock:
            if self._stopped:
                return
            if self._idle > 0:
                self._idle -= 1
            elif len(self._threads) < self._most:
                self._start_thread()
            self._jobs.put(job)

    def _start_thread(self) -> None:
        name = f"tensorwire-{self._name}-{len(self._threads)}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError:
            # As many as the system allows. Those that there are will do it, in time.
            if not self._threads:
                raise
            return
        self._threads.append(thread)

    def stop(self) -> None:
        """Begins no further job."""
        with self._lock:
            self._stopped = True
            for _ in self._threads:
                self._jobs.put(None)

    def join(self, end: float) -> bool:
        """Waits for jobs under way until `end` on the monotonic clock. True: none is left."""
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            if not self._stopped:
                _do(job)
            with self._lock:
                # A job that waits already is for this thread; else it is idle.
                if self._jobs.empty():
                    self._idle += 1


def _do(job: Job) -> None:
    try:
        job()
    except BaseException:  # The thread is needed for other models.
        _log.exception("a fault of TensorWire's in what a thread was to do")
