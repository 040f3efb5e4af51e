"""Brings versions into the cache for one source, and holds those that are in use."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tensorwire.errors import ModelLoadError
from tensorwire.repository.source import FetchWatcher

from .cache import Lease, Slot, StoreCache, TooLargeError
from .location import key_of
from .troubles import is_no_room


@dataclass(frozen=True)
class Wanted:
    """A version that is to be in the cache."""

    location: str
    """Where it comes from, for messages."""

    entry: tuple[str, ...]
    """What it is called there: with its stamp."""

    slot: tuple[str, ...]
    """What it is called until it is whole: without, so that files which stay the same
    while others change are downloaded once."""

    fill: Callable[[Slot], None]
    """Brings its files into the slot's `content`; ModelLoadError if it can't."""


class Holding:
    """The versions of one location."""

    def __init__(self, location: str, cache: StoreCache) -> None:
        self._location = location
        self._cache = cache
        self._lock = threading.Lock()
        self._held: dict[tuple[str, ...], _Held] = {}

    def hold(self, wanted: Wanted, holder: int, watcher: FetchWatcher) -> Path:
        """The folder with the version's files, which stays until `holder` lets go."""
        with self._lock:
            held = self._held.get(wanted.entry)
            if held is not None:
                held.holders.add(holder)
                return held.lease.content
        lease = self._get(wanted, watcher)
        with self._lock:
            held = self._held.setdefault(wanted.entry, _Held(lease))
            held.holders.add(holder)
            if held.lease is not lease:
                lease.close()  # Another thread was faster.
            return held.lease.content

    def let_go(self, entry: tuple[str, ...], holder: int) -> None:
        """The version may be removed, once none holds it."""
        with self._lock:
            held = self._held.get(entry)
            if held is None:
                return
            held.holders.discard(holder)
            if not held.holders:
                del self._held[entry]
                held.lease.close()

    def _get(self, wanted: Wanted, watcher: FetchWatcher) -> Lease:
        key = key_of(self._location, *wanted.entry)
        lease = self._cache.lease(key)
        if lease is not None:
            return lease
        slot_key = key_of(self._location, *wanted.slot)
        with self._cache.slot(slot_key, wanted.location, watcher.cancelled) as slot:
            # Who was waited for may have brought it.
            lease = self._cache.lease(key)
            if lease is not None:
                slot.discard()
                return lease
            try:
                wanted.fill(slot)
                return slot.put_in_place(key)
            except ModelLoadError as error:
                full = isinstance(error.__cause__, OSError) and is_no_room(error.__cause__)
                if full or isinstance(error, TooLargeError):
                    slot.discard()
                raise


@dataclass
class _Held:
    lease: Lease
    holders: set[int] = field(default_factory=set)
