"""When a model's source is looked at next."""

from __future__ import annotations

SETTLE_SECONDS = 1.0
"""How soon a version that has just changed is looked at again, if the poll interval is
longer: it is taken when it has been quiet for that long."""

LOOKING_SHARE = 20
"""A look that took a while is followed by so many times its length without one, so that
looking takes no more than a twentieth of a thread."""

LONGEST_REST_SECONDS = 10.0
"""But for no longer than this: a first look at a store may take seconds, for what it imports
and, of an archive, for its download."""


class LookSchedule:
    """Counts looks, which are made one at a time, and times them."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._asked = True
        self._next: float | None = None
        self.begun = 0
        self.ended = 0

    def ask(self) -> int:
        """Wants a look that begins from now on; the number it will have."""
        self._asked = True
        return self.begun + 1

    @property
    def under_way(self) -> bool:
        """One has begun and not ended."""
        return self.begun > self.ended

    def is_due(self, now: float) -> bool:
        """One is to begin."""
        return not self.under_way and (
            self._asked or (self._next is not None and now >= self._next)
        )

    def begin(self) -> None:
        """One begins."""
        self.begun += 1
        self._asked = False
        self._next = None

    def end(self, now: float, seconds: float, *, settled: bool) -> None:
        """It has ended, after so long; not `settled`: something was changing."""
        self.ended += 1
        if self._interval > 0:
            soon = self._interval if settled else min(self._interval, SETTLE_SECONDS)
            self._next = now + max(soon, min(LOOKING_SHARE * seconds, LONGEST_REST_SECONDS))

    @property
    def next(self) -> float | None:
        """When it is due, if nobody asks before; None: never, or one is under way."""
        return self._next
