"""SIGTERM and SIGINT of a server process: the first asks it to stop, a second ends it at
once.

Python runs its own handlers only in the main thread, and only when that thread runs
Python: a signal that the kernel gives to an I/O thread, or that lands just before the
main thread goes to sleep, would wait there for ever. So the numbers are taken from the
file descriptor that Python's C handler writes to in whichever thread it runs.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGTERM, signal.SIGINT)

TOGETHER_SECONDS = 0.3
"""Signals so soon after the first are the first: `timeout` and others that run programs send
theirs to the process and to its group, and nobody who means a second is as fast."""


class StopSignals:
    """Calls `stop` in a thread of its own at the first signal, as long as its `with`
    block lasts. Does nothing outside the main thread, which alone may handle signals."""

    def __init__(self, stop: Callable[[], object]) -> None:
        self._stop = stop
        self._earlier: dict[signal.Signals, Any] = {}
        self._earlier_descriptor = -1
        self._written: socket.socket | None = None

    def __enter__(self) -> StopSignals:
        """Takes the signals over."""
        if threading.current_thread() is threading.main_thread():
            received, self._written = socket.socketpair()
            self._written.setblocking(False)
            descriptor = self._written.fileno()
            self._earlier_descriptor = signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False)
            for number in _SIGNALS:
                self._earlier[number] = signal.signal(number, _only_wake)
            watch = threading.Thread(
                target=self._watch, args=(received,), name="tensorwire-signals", daemon=True
            )
            watch.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Gives them back."""
        if self._written is None:
            return
        for number, handler in self._earlier.items():
            # One that a program around Python has set is not known here: a signal then does
            # what it does to a process that handles none, which is better than nothing.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        signal.set_wakeup_fd(self._earlier_descriptor)
        self._written.close()

    def _watch(self, received: socket.socket) -> None:
        """Reads one byte a signal, until the other end is closed."""
        asked: float | None = None
        with received:
            while numbers := received.recv(1):
                if numbers[0] not in _SIGNALS:
                    continue
                now = time.monotonic()
                if asked is not None:
                    if now - asked > TOGETHER_SECONDS:
                        os._exit(128 + numbers[0])
                    continue
                asked = now
                # In another thread, so that the second signal finds this one listening.
                threading.Thread(target=self._stop, name="tensorwire-stop", daemon=True).start()


def _only_wake(_number: int, _frame: FrameType | None) -> None:
    """A handler must be there for the signal to be written to the descriptor."""
