"""How far a download is: told to the watcher, and to the log every few seconds."""

from __future__ import annotations

import logging
import time

from tensorwire.repository.source import FetchWatcher
from tensorwire.units import format_duration

_log = logging.getLogger("tensorwire.repository")

LINE_SECONDS = 5.0


class Progress:
    """Of one download."""

    def __init__(self, name: str, total: int | None, watcher: FetchWatcher) -> None:
        self._name = name
        self._total = total
        self._watcher = watcher
        self._started = time.monotonic()
        self._told = self._started
        self._done = 0
        self._kept = 0

    def begin(self, kept: int) -> None:
        """`kept`: bytes that an earlier try has left."""
        self._done = self._kept = kept
        goes_on = f", of which {_megabytes(kept)} are there" if kept else ""
        size = "" if self._total is None else f" ({_megabytes(self._total)}{goes_on})"
        _log.info("downloading %s%s", self._name, size)
        self._watcher.progress(kept, self._total)

    def add(self, count: int) -> None:
        """More bytes have arrived; fewer than 0: were lost again."""
        self._done += count
        self._watcher.progress(self._done, self._total)
        now = time.monotonic()
        if now - self._told >= LINE_SECONDS:
            self._told = now
            _log.info("downloading %s: %s", self._name, self._line(now))

    def end(self) -> None:
        """All of it is there."""
        seconds = time.monotonic() - self._started
        _log.info(
            "downloaded %s: %s in %s",
            self._name,
            _megabytes(self._done),
            format_duration(seconds),
            extra={"fields": {"bytes": self._done, "seconds": round(seconds, 3)}},
        )

    def _line(self, now: float) -> str:
        rate = (self._done - self._kept) / max(now - self._started, 1e-3)
        speed = f"{rate / 1e6:.1f} MB/s"
        if self._total is None:
            return f"{_megabytes(self._done)}, {speed}"
        left = f"{format_duration((self._total - self._done) / rate)} left" if rate > 0 else ""
        line = f"{_megabytes(self._done)} of {_megabytes(self._total)}, {speed}"
        return f"{line}, {left}" if left else line


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count} bytes"
