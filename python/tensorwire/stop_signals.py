"""SIGTERM and SIGINT of a server process: the first asks it to stop, a second ends it at
once.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from queue import SimpleQueue
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopSignals:
    """Calls `stop` in a thread of its own at the first signal, as long as its `with`
    block lasts. Does nothing outside the main thread, which alone may handle signals."""

    def __init__(self, stop: Callable[[], object]) -> None:
        self._stop = stop
        # Its put, unlike Event.set, is safe in a handler that interrupts a get.
        self._received: SimpleQueue[int | None] = SimpleQueue()
        self._asked = False
        self._earlier: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopSignals:
        """Takes the signals over."""
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                self._earlier[number] = signal.signal(number, self._handle)
            threading.Thread(target=self._watch, name="tensorwire-signals", daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Gives them back."""
        for number, handler in self._earlier.items():
            signal.signal(number, handler)
        self._received.put(None)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self._asked:
            os._exit(128 + number)
        self._asked = True
        self._received.put(number)

    def _watch(self) -> None:
        if self._received.get() is not None:
            self._stop()
