"""The work that the reconciler has done in threads: a look at a source, a version fetched and
loaded. Nothing here knows why.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tensorwire._core import NativeError
from tensorwire.errors import ConfigError, ModelLoadError

from .model_config import ModelConfig
from .source import MAX_VERSION, FetchWatcher, ModelVersion, NoVersionsError, Source

_log = logging.getLogger("tensorwire.repository")


class Retired(Protocol):
    """The part of `_core.Retired` that the models' life needs."""

    def free(self) -> None:
        """Waits for the last request of what is out of service, and frees it."""


class LoadingEngine(Protocol):
    """The part of `_core.Engine` that the models' life needs."""

    def declare(self, name: str) -> None:
        """Says that a model is wanted; health waits for it."""

    def start(self, name: str, version: int) -> None:
        """Says that a version is wanted, and not loading yet."""

    def load(self, name: str, version: int, path: str, options: str) -> Retired | None:
        """Loads a SavedModel directory; NativeError if it can't. What was available under
        this number goes on answering until then, and is to be freed."""

    def unload(self, name: str, version: int) -> bool:
        """Takes a version out of service, and frees it after its last request."""

    def set_labels(self, name: str, labels: dict[str, int]) -> None:
        """Has a model's labels point at these versions, all at once."""

    def fail(self, name: str, version: int, code: str, message: str) -> None:
        """Records that a version ended with this error."""

    def forget(self, name: str, version: int) -> bool:
        """Drops the entry of a version that has ended."""

    def remove(self, name: str, still_wanted: bool) -> Retired | None:
        """Drops a model at once, and answers what is to be freed of it. Health waits for it no
        more, or for the next one of its name if that is `still_wanted`."""


VersionOptions = Callable[[ModelConfig, Path], str]
"""The options of a version, by its model and its folder, as the engine takes them;
ConfigError if the folder says what can't be."""


class Exporter(Protocol):
    """Turns what the engine can't load into what it can."""

    def export(self, path: Path) -> Path:
        """The SavedModel directory made from `path`; ModelLoadError if it can't."""

    def cancel(self) -> None:
        """Ends exports under way."""


@dataclass(frozen=True)
class Look:
    """What a look at a source found."""

    versions: Sequence[ModelVersion]
    error: str | None
    """Why there is nothing to choose from; None: there is."""

    is_empty: bool
    """It could be seen that there is no version, and not only nothing be seen."""

    seconds: float
    """Processor time that it took."""


def look(source: Source, location: str) -> Look:
    """Looks; never raises."""
    started = time.thread_time()
    versions: Sequence[ModelVersion] = ()
    error, is_empty = None, False
    try:
        versions = [_checked(version) for version in source.versions()]
        is_empty = not versions
        error = f"{location} has no versions" if is_empty else None
    except ModelLoadError as failure:
        error, is_empty = str(failure), isinstance(failure, NoVersionsError)
    except BaseException as failure:  # A source of somebody's own may raise what it likes,
        # such as asyncio's CancelledError, which is no Exception.
        _log.debug("looking at %s", location, exc_info=True)
        versions, error = (), f"{location} can't be looked at: {failure!r}"
    return Look(versions, error and _as_text(error), is_empty, time.thread_time() - started)


def _checked(version: ModelVersion) -> ModelVersion:
    """The version, if a source may answer it: what it is looked at for later is there."""
    if not isinstance(version, ModelVersion):
        raise TypeError(f"it answered {version!r}, which is not a ModelVersion")
    number = version.number
    if not isinstance(number, int) or not 0 <= number <= MAX_VERSION:
        raise ValueError(f"it answered the version {number!r}, not an int from 0 to {MAX_VERSION}")
    if not all(isinstance(text, str) for text in (version.location, version.stamp)):
        raise TypeError(f"location and stamp must be text in {version!r}")
    return version


@dataclass(frozen=True)
class Failure:
    """Why a version can't be served."""

    code: str
    """gRPC's name of the error."""

    reason: str

    may_pass: bool = False
    """It could not be fetched, which says nothing of the version itself."""


@dataclass(frozen=True)
class Loader:
    """Fetches and loads versions."""

    engine: LoadingEngine
    exporter: Exporter
    options: VersionOptions

    def fetch(
        self, source: Source, version: ModelVersion, watcher: FetchWatcher
    ) -> Path | Failure:
        """The version's local path; never raises."""
        try:
            return Path(source.fetch(version, watcher))
        except ModelLoadError as error:
            return Failure("UNAVAILABLE", _as_text(str(error)), may_pass=True)
        except BaseException as error:
            _log.debug("fetching %s", version.location, exc_info=True)
            return Failure("INTERNAL", _as_text(f"{version.location}: {error!r}"))

    def load(
        self, model: ModelConfig, version: ModelVersion, path: Path
    ) -> Failure | Retired | None:
        """Loads it from there. Unless that failed it is available, and has taken the place
        of this. Never raises."""
        try:
            folder = self.exporter.export(path) if version.needs_export else path
            options = self.options(model, folder)
            return self.engine.load(model.name, version.number, str(folder), options)
        except (ModelLoadError, ConfigError) as error:
            return Failure("INVALID_ARGUMENT", _told(str(error), path, version))
        except NativeError as error:
            return Failure(str(error.args[0]), _told(str(error.args[1]), path, version))
        except BaseException as error:  # A panic of the core is no Exception.
            _log.debug("loading %s", path, exc_info=True)
            return Failure("INTERNAL", _as_text(f"{path}: {error!r}"))


def _told(reason: str, path: Path, version: ModelVersion) -> str:
    """What was fetched is called by where it came from, not by where it is kept."""
    return _as_text(reason.replace(str(path), version.location))


def _as_text(reason: str) -> str:
    # A path may hold bytes that are no text.
    return reason.encode(errors="backslashreplace").decode()
