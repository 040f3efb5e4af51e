"""The one thread that changes what is known of the models. It waits for what others post, and
for the times at which models are to be attended to."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue

from .timers import Timers

_log = logging.getLogger("tensorwire.repository")

Action = Callable[[], Iterable[str]]
"""Changes something, and answers the names of the models that it touched."""

AFTER_A_FAULT_SECONDS = 1.0
"""When a model is attended to again, if that failed."""


class EventLoop:
    """Runs actions in the order they come, and then attends once to each model that they
    touched: what comes together is one change."""

    def __init__(
        self,
        attend: Callable[[str], float | None],
        at_end: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`attend`: begins what can be begun for a model, and says when to come again;
        `at_end`: is called once, last."""
        self._attend = attend
        self._at_end = at_end
        self._clock = clock
        self._actions: SimpleQueue[Action | None] = SimpleQueue()
        self._timers = Timers()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Starts the thread."""
        self._thread = threading.Thread(target=self._work, name="tensorwire-models", daemon=True)
        self._thread.start()

    def post(self, action: Action) -> None:
        """Has it run by the thread; from any thread."""
        self._actions.put(action)

    def now(self) -> float:
        """The time, as timers have it."""
        return self._clock()

    @property
    def stopping(self) -> bool:
        """`stop` was called."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Runs nothing more; what is posted from now on is lost."""
        self._stopping.set()
        self._actions.put(None)
        if self._thread is None:
            self._at_end()

    def join(self, end: float) -> None:
        """Waits for the thread until `end` on the monotonic clock."""
        if self._thread not in (None, threading.current_thread()):
            self._thread.join(max(0.0, end - time.monotonic()))

    def step(self, action: Action | None = None) -> None:
        """Does what is posted and due now, without waiting."""
        touched: dict[str, None] = {}
        while not self.stopping:
            if action is not None:
                touched |= dict.fromkeys(self._run(action))
            try:
                action = self._actions.get_nowait()
            except Empty:
                break
        touched |= dict.fromkeys(self._timers.take_due(self._clock()))
        for name in touched:
            self._run(self._attending(name))

    def _attending(self, name: str) -> Action:
        def attend() -> Iterable[str]:
            try:
                self._timers.set(name, self._attend(name))
            except BaseException:
                self._timers.set(name, self._clock() + AFTER_A_FAULT_SECONDS)
                raise
            return ()

        return attend

    def _run(self, action: Action) -> Iterable[str]:
        if self.stopping:
            return ()
        try:
            return action()
        except BaseException:  # A fault in what is done for one model must not end it for all;
            # nor must a panic of the core, which is no Exception.
            _log.exception("a fault of TensorWire's while models were attended to")
            return ()

    def _work(self) -> None:
        while not self.stopping:
            due = self._timers.next
            timeout = None if due is None else max(0.0, due - self._clock())
            try:
                action = self._actions.get(timeout=timeout)
            except Empty:
                action = None
            self.step(action)
        self._at_end()
