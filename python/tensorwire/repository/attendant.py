"""What is begun for a model when something has changed or a time has come, and what the
results of it change. All of it in the event loop's thread, but for the jobs themselves.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tensorwire._core import NativeError
from tensorwire.config.lifecycle import LifecycleConfig
from tensorwire.errors import ModelLoadError
from tensorwire.units import format_duration

from .crew import Crew
from .event_loop import EventLoop
from .loading import Failure, Loader, Look, Retired, look
from .local_source import LocalSource
from .look_schedule import LookingCost, LookSchedule
from .managed_model import Leaving, ManagedModel
from .managed_version import Doing, ManagedVersion, Release
from .model_config import ModelConfig
from .reports import tell_failure, tell_loaded, tell_removed, tell_trouble, tell_unloaded
from .source import ONLY_VERSION, FetchWatcher, ModelVersion, Source, complete_versions
from .transition import Rules, next_steps

_log = logging.getLogger("tensorwire.repository")

LONGEST_RETRY_SECONDS = 60.0
"""Pauses between tries grow up to this, unless even the first is longer."""

OUTAGE_RETRY_SECONDS = 300.0
"""Between tries to fetch a version, once its retries are at their end: they are fewer than the
minutes that a store may be away."""

AGAIN_SECONDS = 1.0
"""When it is tried again to free what could not be freed."""

CANCELLED = Failure("CANCELLED", "it is no longer wanted")


@dataclass(frozen=True)
class LoadJob:
    """A version to load, as it was when that was begun."""

    model: ManagedModel
    config: ModelConfig
    source: Source
    offer: ModelVersion
    watcher: FetchWatcher
    answers: int
    """The version's `loads_asked`."""


class Attendant:
    """Attends to models, one call at a time."""

    def __init__(
        self, loader: Loader, settings: LifecycleConfig, loop: EventLoop, crew: Crew
    ) -> None:
        self._loader = loader
        self._engine = loader.engine
        self._settings = settings
        self._loop = loop
        self._crew = crew
        self._looking = LookingCost()

    def attend(self, model: ManagedModel, now: float) -> float | None:
        """Begins what can be begun. When to come again; None: when something changes."""
        self._close_sources(model)
        if model.removed:
            self._begin_removal(model)
            return None
        began = time.thread_time()
        try:
            return self._attend(model, now)
        finally:
            model.looks.attending_seconds += time.thread_time() - began

    def _attend(self, model: ManagedModel, now: float) -> float | None:
        self._move_labels(model)
        if model.looks.is_due(now):
            self._begin_look(model)
        transition = model.config.transition or self._settings.version_transition
        rules = Rules(transition, self._settings.max_load_retries, now, model.labels.held)
        steps = next_steps(model.versions.values(), rules)
        for version in steps.load:
            self._begin_load(model, version)
        for version in steps.unload if model.may_unload else ():
            self._begin_unload(model, version)
        model.forget_gone()
        return model.next_time(now)

    def _move_labels(self, model: ManagedModel) -> None:
        unwanted = model.labels.unwanted
        if model.move_labels():
            self._engine.set_labels(model.name, dict(model.labels.labels))
        if model.labels.unwanted != unwanted and model.looks.ended > 0:
            for label, number in model.labels.unwanted.items():
                reason = f"version {number}, which label {label} is to point at, is not served"
                tell_trouble(model.name, reason)

    def end(self, models: Iterable[ManagedModel]) -> None:
        """Ends fetches and looks under way, the last that is done."""
        for model in models:
            for version in model.versions.values():
                version.watcher.cancelled.set()
            if not model.removed:
                model.leave_source()
            # There may be no threads to be had. The others have more to do than those.
            with contextlib.suppress(RuntimeError):
                self._close_sources(model)

    def _close_sources(self, model: ManagedModel) -> None:
        while model.sources_left:
            close = getattr(model.sources_left[-1], "close", None)
            if callable(close):
                # It may be somebody's own, and take its time.
                self._crew.unload(functools.partial(_close, model.name, close))
            model.sources_left.pop()

    # Looking.

    def _begin_look(self, model: ManagedModel) -> None:
        source, location, looks = model.source, model.location, model.looks

        def job() -> None:
            found = look(source, location)
            self._loop.post(lambda: self._looked(model, looks, found))

        # It counts as begun once there is somebody to do it; and so with all that follows.
        self._crew.looking_at(source).run(job)
        looks.begin()

    def _looked(self, model: ManagedModel, looks: LookSchedule, found: Look) -> list[str]:
        if model.looks is not looks or model.removed:
            # It is of a source that the model no longer has, or had before it was removed.
            return []
        began = time.thread_time()
        settled = True
        if found.error is None:
            settled = model.see(found.versions, reload_changed=self._settings.reload_changed)
            self._note_look(model, _why_nothing(model, found.versions))
        else:
            if found.is_empty:
                model.see((), reload_changed=True)
            self._note_look(model, found.error)
        decided = looks.attending_seconds + time.thread_time() - began
        self._looking.note(model.name, found.seconds + decided)
        least = self._looking.least_interval
        if settled and model.config.is_afar:
            least = max(least, self._settings.store_poll_interval)
        model.end_look(self._loop.now(), least, settled=settled)
        return [model.name]

    def _note_look(self, model: ManagedModel, error: str | None) -> None:
        """Takes what is wrong with the source, tells it once, and shows it as the failure of
        a version where there is no other."""
        known, model.look_error = model.look_error, error
        if error is None:
            if known is not None:
                model.forget_failures_unseen()
            if model.failed_look_is_shown and ONLY_VERSION not in model.versions:
                self._engine.forget(model.name, ONLY_VERSION)
            model.failed_look_is_shown = False
        elif model.is_served and error != known:
            tell_trouble(model.name, error)
        elif not model.versions and not (model.failed_look_is_shown and error == known):
            self._engine.fail(model.name, ONLY_VERSION, "NOT_FOUND", error)
            model.failed_look_is_shown = True
            tell_failure(model.name, ONLY_VERSION, error)

    # Loading.

    def _begin_load(self, model: ManagedModel, version: ManagedVersion) -> None:
        if version.served is None:
            self._engine.start(model.name, version.number)
        asked = version.loads_asked
        load = LoadJob(model, model.config, model.source, version.offer, FetchWatcher(), asked)
        version.watcher = load.watcher
        if isinstance(load.source, LocalSource):
            # It is there, and is not to wait for what others download.
            self._fetched(version, load, Path(load.offer.location), 0.0)
            return

        def job() -> None:
            started = time.monotonic()
            found = self._loader.fetch(load.source, load.offer, load.watcher)
            seconds = time.monotonic() - started
            self._loop.post(lambda: self._fetched(version, load, found, seconds))

        self._crew.fetch.run(job)
        version.doing = Doing.FETCHING

    def _fetched(
        self, version: ManagedVersion, load: LoadJob, found: Path | Failure, seconds: float
    ) -> list[str]:
        if isinstance(found, Failure):
            return self._loaded(version, load, found, seconds)
        path, is_used = found, version.uses(load.source, load.offer)

        def job() -> None:
            started = time.monotonic()
            result: Failure | Retired | None = CANCELLED
            if not load.watcher.cancelled.is_set():
                result = self._loader.load(load.config, load.offer, path)
            if isinstance(result, Failure) and not is_used:
                # Before it may be fetched again: what that brings must stay.
                self._release(load.config.name, (load.source, load.offer))
            in_all = seconds + time.monotonic() - started
            self._loop.post(lambda: self._loaded(version, load, result, in_all))

        try:
            self._crew.load.run(job)
        except RuntimeError as error:
            if not is_used:
                self._release(load.config.name, (load.source, load.offer))
            return self._loaded(version, load, Failure("RESOURCE_EXHAUSTED", str(error)), seconds)
        version.doing = Doing.LOADING
        return []

    def _loaded(
        self,
        version: ManagedVersion,
        load: LoadJob,
        result: Failure | Retired | None,
        seconds: float,
    ) -> list[str]:
        name = load.config.name
        if load.model.leaving is Leaving.DONE:
            # The fetch went on after its model was gone. Another may have the name by now.
            return []
        version.doing = Doing.NOTHING
        version.seconds = seconds
        if not isinstance(result, Failure):
            before = None if version.uses(load.source, load.offer) else version.in_use
            version.served, version.source = load.offer, load.source
            version.loads_answered = load.answers
            version.forget_failures()
            tell_loaded(name, version)
            self._free(name, result, before)
        elif not load.watcher.cancelled.is_set():
            self._failed(load, version, result)
        elif version.served is None and not load.model.removed:
            # It may be shown as one that is to be loaded. (To unload it would take time.)
            self._engine.fail(name, version.number, result.code, result.reason)
            self._engine.forget(name, version.number)
        return [name]

    def _failed(self, load: LoadJob, version: ManagedVersion, failure: Failure) -> None:
        name = load.config.name
        version.failed_unseen = load.model.look_error is not None
        if version.served is None:
            # The engine knows it only if it came as far as that.
            self._engine.fail(name, version.number, failure.code, failure.reason)
        version.error = reason = failure.reason
        version.failures += 1
        version.may_pass = failure.may_pass
        pause = self._pause(version)
        if pause is not None:
            version.retry_at = self._loop.now() + pause
            reason = f"{reason}; tried again in {format_duration(pause)}"
        tell_failure(name, version.number, reason)

    def _pause(self, version: ManagedVersion) -> float | None:
        """Seconds until it is tried again; None: never."""
        if version.failures <= self._settings.max_load_retries:
            first = self._settings.load_retry_interval
            # The exponent is bounded for the sake of the number alone.
            pause = min(first * 2.0 ** min(version.failures - 1, 30), LONGEST_RETRY_SECONDS)
            return max(first, pause)
        return OUTAGE_RETRY_SECONDS if version.may_pass else None

    # Unloading.

    def _free(self, name: str, replaced: Retired | None, release: Release | None) -> None:
        """Has what a load has replaced freed, and then its source told: some models read
        their files when they are called."""

        def job() -> None:
            if replaced is not None:
                self._insist(replaced.free)
            if release is not None:
                self._release(name, release)

        if replaced is None and release is None:
            return
        try:
            # Not among the loads and fetches: its last request, or all of them, may take hours.
            self._crew.unload(job)
        except RuntimeError:
            # No further thread is to be had. One of those that load is there, and waits.
            self._crew.load.run(job)

    def drop(self, model: ManagedModel) -> None:
        """Has the engine drop what it has of a model's name at once. Only its successor, if
        there is one, is what health waits for, and not what is left of it."""
        dropped = self._engine.remove(model.name, model.successor is not None)
        if dropped is not None:
            model.retired.append(dropped)

    def _begin_removal(self, model: ManagedModel) -> None:
        """Has all of it dropped, and frees it in a thread that has time for that."""
        waits = model.leaving is Leaving.HELD_UP and model.is_in_engine
        if waits or model.leaving in (Leaving.UNDER_WAY, Leaving.DONE):
            return
        # One that is being unloaded is released by who does that.
        there = [each for each in model.versions.values() if each.doing is not Doing.UNLOADING]
        released = [each.in_use for each in there]
        # A load or unload under way may yet find the name, and leave something there.
        is_last = not model.is_in_engine
        # Now it does not come back, even if there is no thread to free it.
        model.leaving = Leaving.HELD_UP
        self.drop(model)
        retired = model.retired

        def job() -> None:
            for dropped in retired:
                self._insist(dropped.free)
            for each in filter(None, released):
                self._release(model.name, each)
            self._loop.post(lambda: self._removed(model, is_last=is_last))

        self._crew.unload(job)
        model.leaving, model.retired = Leaving.UNDER_WAY, []
        self._looking.note(model.name, 0.0)
        for version in there:
            version.served = None

    def _removed(self, model: ManagedModel, *, is_last: bool) -> list[str]:
        is_done = is_last and not model.is_in_engine and not model.retired
        model.leaving = Leaving.DONE if is_done else Leaving.HELD_UP
        if model.leaving is Leaving.DONE:
            tell_removed(model.name)
        return [model.name]

    def _begin_unload(self, model: ManagedModel, version: ManagedVersion) -> None:
        name, released = model.name, version.in_use

        def job() -> None:
            self._insist(lambda: self._engine.unload(name, version.number))
            if released is not None:
                self._release(name, released)
            self._loop.post(lambda: self._unloaded(name, version))

        self._crew.unload(job)
        version.doing = Doing.UNLOADING

    def _insist(self, free: Callable[[], object]) -> None:
        """Frees, in a thread of its own. The core needs another one for that, and the system
        may have none left for a while."""
        while not self._loop.stopping:
            try:
                free()
            except NativeError as error:
                _log.warning("what is no longer served can't be freed yet: %s", error.args[1])
                time.sleep(AGAIN_SECONDS)
            except BaseException:
                _log.exception("a fault of TensorWire's while a version was unloaded")
                return
            else:
                return

    def _release(self, name: str, release: Release) -> None:
        source, version = release
        try:
            source.release(version)
        except BaseException as error:  # A source of somebody's own may raise anything.
            tell_trouble(name, f"its source failed to release a version: {error!r}")

    def _unloaded(self, name: str, version: ManagedVersion) -> list[str]:
        version.doing = Doing.NOTHING
        version.served = version.source = None
        tell_unloaded(name, version)
        return [name]


def _close(name: str, close: Callable[[], object]) -> None:
    try:
        close()
    except BaseException as error:  # As with `release`.
        tell_trouble(name, f"its source failed to close: {error!r}")


def _why_nothing(model: ManagedModel, versions: Sequence[ModelVersion]) -> str | None:
    """Why none of the versions seen can be loaded; None: one can."""
    try:
        complete_versions(model.location, versions)
    except ModelLoadError as error:
        return str(error)
    return None
