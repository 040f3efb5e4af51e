"""When which model is to be attended to."""

from __future__ import annotations

import heapq


class Timers:
    """One time for each name, the earliest that was asked for."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, str]] = []
        self._times: dict[str, float] = {}

    def set(self, name: str, when: float | None) -> None:
        """Wakes `name` then and not before; None: not at all."""
        if when is None:
            self._times.pop(name, None)
        elif self._times.get(name) != when:
            self._times[name] = when
            heapq.heappush(self._heap, (when, name))

    @property
    def next(self) -> float | None:
        """When the first is due; None: never."""
        while self._heap and self._times.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take_due(self, now: float) -> list[str]:
        """The names whose time has come; each once."""
        due: list[str] = []
        while (first := self.next) is not None and first <= now:
            name = heapq.heappop(self._heap)[1]
            del self._times[name]
            due.append(name)
        return due
