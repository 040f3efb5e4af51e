"""Where a model's versions come from: the protocol that every kind of source has, and which
kind a location means. Polled by the reconciler, from threads of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from tensorwire.errors import ModelLoadError

if TYPE_CHECKING:
    from .stores.cache import StoreCache

GRAPH_FILE = "saved_model.pb"
"""The file that makes a directory a SavedModel."""

ONLY_VERSION = 1
"""The version of a location that has no versions of its own."""

MAX_VERSION = 2**63 - 1


class NoVersionsError(ModelLoadError):
    """A source that can be seen, and holds no version: what was loaded from it is unloaded.
    With any other ModelLoadError it can't be seen, and what is loaded stays."""


@dataclass(frozen=True)
class ModelVersion:
    """A version that a source offers."""

    number: int
    """0 to 2**63 - 1: names of directories parse as int64."""

    location: str
    """Where it is: a local path, or what its source makes one of."""

    needs_export: bool = False
    """It is a Keras file, to be turned into a SavedModel before it can be loaded."""

    stamp: str = ""
    """Differs exactly if the content does (names, sizes, times, etags). A version is taken
    when two looks see the same stamp, so never in the middle of an upload; and loaded again
    when it changes."""

    incomplete: str = ""
    """What of it is not there yet, as in `has no saved_model.pb`; empty: nothing. Such a
    version is not loaded; if it is served already, it stays."""


def _no_progress(_done: int, _total: int | None) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True)
class FetchWatcher:
    """Is told how far a fetch is, and tells it when it is no longer wanted."""

    progress: Callable[[int, int | None], None] = _no_progress
    """To be called with the bytes done and, if known, the bytes in all."""

    cancelled: threading.Event = field(default_factory=threading.Event)
    """Once set, `fetch` is to give up soon, with a ModelLoadError."""


@runtime_checkable
class Source(Protocol):
    """Where one model's versions are. Any object with these methods may be served:
    `tensorwire.Server({"name": source})`. They are called from several threads, but
    `versions` from one at a time; but where an object is removed and served again while it
    is looked at, from another before that look has ended.

    One more is optional: `close(self) -> None` says that it is looked at no more, as its
    model was removed or given another source, or the server stops. A look under way is then
    to end soon, with a ModelLoadError. `release` may still come after it; and `versions`, if
    the same object is served again."""

    def versions(self) -> Sequence[ModelVersion]:
        """The versions there are now, in any order. Called once a poll interval: cheap.

        Raises ModelLoadError if that can't be seen now, NoVersionsError (or answers an
        empty list) if there is none.
        """

    def fetch(self, version: ModelVersion, watcher: FetchWatcher) -> Path:
        """A local SavedModel directory (or Keras file) with the version; blocks while it is
        downloaded, if it has to be. ModelLoadError if it can't be had."""

    def release(self, version: ModelVersion) -> None:
        """Says that a version which was fetched is no longer served."""


def open_source(location: str, cache: StoreCache | None = None) -> Source:
    """The source that a path or a URL means; looks at nothing yet. `cache`: where what
    URLs hold is kept; None: the default one.

    Raises ConfigError for a URL that no source can be made of.
    """
    from .local_source import LocalSource, local_path

    path = local_path(location)
    if path is not None:
        return LocalSource(path)
    from .stores import open_store

    return open_store(location, cache)


def complete_versions(location: str, offered: Sequence[ModelVersion]) -> list[ModelVersion]:
    """Those that can be loaded, lowest first, at least one; else a ModelLoadError."""
    complete = [version for version in offered if not version.incomplete]
    if complete:
        return sorted(complete, key=lambda version: version.number)
    if not offered:
        raise NoVersionsError(f"{location} has no versions")
    reasons = ", ".join(f"version {each.number} {each.incomplete}" for each in offered)
    raise ModelLoadError(f"no version of {location} is complete: {reasons}")


__all__ = [
    "GRAPH_FILE",
    "MAX_VERSION",
    "ONLY_VERSION",
    "FetchWatcher",
    "ModelVersion",
    "NoVersionsError",
    "Source",
    "complete_versions",
    "open_source",
]
