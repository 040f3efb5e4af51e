"""Something that comes once."""

from __future__ import annotations

import threading
from collections.abc import Callable

Action = Callable[[], None]


class Moment:
    """Threads may wait for it, and what is to be done then need not hold one. Coming again
    changes nothing."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._has_come = threading.Event()
        self._actions: list[Action] = []

    def come(self) -> None:
        """It is now: wakes those who wait, and calls what is to be done, in this thread."""
        with self._lock:
            self._has_come.set()
            actions, self._actions = self._actions, []
        for action in actions:
            action()

    def then(self, action: Action) -> None:
        """Has `action` called when it comes; at once if it has."""
        with self._lock:
            if not self._has_come.is_set():
                self._actions.append(action)
                return
        action()

    def wait(self, timeout: float | None = None) -> bool:
        """Waits for it, at most so many seconds. True: it has come."""
        return self._has_come.wait(timeout)
