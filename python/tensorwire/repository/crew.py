"""Who does what takes time."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass

from .local_source import LocalSource
from .source import Source
from .workers import Job, Workers

LEAST_LOADING_THREADS = 4
"""Enough that a slow disk under one model leaves the others a thread."""

LOOKING_THREADS = 64
"""As many stores may hang, or send archives, before the others are not looked at any more."""

FETCHING_THREADS = 16

LOCAL_THREADS = 16


@dataclass(frozen=True)
class Crew:
    """Threads for each kind of work, so that one kind holds up no other."""

    look: Workers
    fetch: Workers
    load: Workers
    unload: Callable[[Job], None]
    """Each in a thread of its own: it waits for requests as long as they take."""

    local: Workers | None = None
    """Looks and fetches where nothing has to be downloaded, which must not wait for what has;
    None: as all others."""

    def looking_at(self, source: Source) -> Workers:
        """Who looks at it."""
        return self.local if self.local and isinstance(source, LocalSource) else self.look

    def fetching_from(self, source: Source) -> Workers:
        """Who fetches from it."""
        return self.local if self.local and isinstance(source, LocalSource) else self.fetch

    @classmethod
    def of(cls, load_threads: int) -> Crew:
        """So many threads load; 0: one a core, at least four."""
        count = load_threads or max(LEAST_LOADING_THREADS, os.cpu_count() or 1)
        return cls(
            Workers("look", LOOKING_THREADS),
            Workers("fetch", FETCHING_THREADS),
            Workers("load", count),
            _in_own_thread,
            Workers("local", LOCAL_THREADS),
        )

    def stop(self) -> None:
        """Begins nothing more."""
        for workers in (self.look, self.fetch, self.load, self.local):
            if workers is not None:
                workers.stop()


def _in_own_thread(job: Job) -> None:
    threading.Thread(target=job, name="tensorwire-unload", daemon=True).start()
