"""When a model's source is looked at next."""

from __future__ import annotations

SETTLE_SECONDS = 1.0
"""How soon a version that has just changed is looked at again, if the poll interval is
longer: it is taken when it has been quiet for that long."""

LOOKING_SHARE = 20
"""All looks, with what is decided from them, may take one part in so many of a core: with
very many models each is looked at less often than it should be, rather than the requests
having to wait."""

LONGEST_REST_SECONDS = 10.0
"""But not more seldom than this: a first look at a store may take seconds, for what it
imports."""


class LookingCost:
    """What looking costs: the processor time of each model's last look, and of all that was
    decided from it."""

    def __init__(self) -> None:
        self._each: dict[str, float] = {}
        self._total = 0.0

    def note(self, name: str, seconds: float) -> None:
        """It took so much processor time; 0: there is no more of it."""
        self._total += seconds - self._each.pop(name, 0.0)
        if seconds > 0:
            self._each[name] = seconds

    @property
    def least_interval(self) -> float:
        """Seconds between two looks at the same model."""
        return min(LOOKING_SHARE * self._total, LONGEST_REST_SECONDS)


class LookSchedule:
    """Counts looks, which are made one at a time, and times them."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._asked = True
        self._next: float | None = None
        self.begun = 0
        self.ended = 0
        self.attending_seconds = 0.0
        """Processor time that attending to the model has taken since the last look ended."""

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

    def end(self, now: float, least: float, *, settled: bool) -> None:
        """It has ended, and the next one is not due before `least` seconds; not `settled`:
        something was changing."""
        self.ended += 1
        self.attending_seconds = 0.0
        if self._interval > 0:
            soon = self._interval if settled else min(self._interval, SETTLE_SECONDS)
            self._next = now + max(soon, least)

    @property
    def next(self) -> float | None:
        """When it is due, if nobody asks before; None: never, or one is under way."""
        return self._next
