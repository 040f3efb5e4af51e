"""Brings the engine to what is wanted: finds each model's versions, chooses, exports and
loads them. Every model goes its own way, in a thread, so a broken or slow one holds up
no other.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Protocol

from tensorwire._core import NativeError
from tensorwire.errors import ConfigError, ModelLoadError
from tensorwire.units import format_duration

from .model_config import ModelConfig
from .policy import Latest, VersionPolicy
from .source import ONLY_VERSION, ModelVersion, complete_versions

_log = logging.getLogger("tensorwire.repository")

LEAST_LOADING_THREADS = 4
"""Enough that a slow disk under one model leaves the others a thread."""


class LoadingEngine(Protocol):
    """The part of `_core.Engine` that loading needs."""

    def load(self, name: str, version: int, path: str, options: str) -> None:
        """Loads a SavedModel directory; NativeError if it can't."""

    def fail(self, name: str, version: int, code: str, message: str) -> None:
        """Records that a version ended with this error."""


VersionOptions = Callable[[str, Path], str]
"""The options of the version of a model, by its name and the version's folder, as the
engine takes them; ConfigError if the folder says what can't be."""


class Exporter(Protocol):
    """Turns what the engine can't load into what it can."""

    def export(self, path: Path) -> Path:
        """The SavedModel directory made from `path`; ModelLoadError if it can't."""

    def cancel(self) -> None:
        """Ends exports under way."""


@dataclass(frozen=True)
class Outcome:
    """What became of one version."""

    model: ModelConfig
    version: int
    seconds: float
    """What loading took, an export included."""

    error: str | None = None
    """Why it is not served; None: it is."""


class Reconciler:
    """Loads models into one engine."""

    def __init__(
        self,
        engine: LoadingEngine,
        exporter: Exporter,
        options: VersionOptions,
        policy: VersionPolicy | None = None,
    ) -> None:
        self._engine = engine
        self._exporter = exporter
        self._options = options
        self._policy = policy or Latest()
        self._cancelled = threading.Event()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._finished: SimpleQueue[list[Outcome] | None] = SimpleQueue()

    def load(self, models: Sequence[ModelConfig]) -> list[Outcome]:
        """Loads what is wanted of each model and says what came of it, in the order of
        `models`. Versions that fail are recorded in the engine. Once `cancel` is called,
        returns at once with what is done."""
        waiting: SimpleQueue[ModelConfig] = SimpleQueue()
        for model in models:
            waiting.put(model)
        count = min(len(models), max(LEAST_LOADING_THREADS, os.cpu_count() or 1))
        for index in range(count):
            name = f"tensorwire-load-{index}"
            thread = threading.Thread(target=self._work, args=(waiting,), name=name, daemon=True)
            with self._lock:
                thread.start()
                self._threads.append(thread)
        outcomes: list[Outcome] = []
        for _ in models:
            each = self._finished.get()
            if each is None:
                break
            outcomes += each
        places = {model.name: place for place, model in enumerate(models)}
        return sorted(outcomes, key=lambda outcome: places[outcome.model.name])

    def cancel(self, timeout: float) -> bool:
        """Starts no further load, ends exports, and waits up to `timeout` seconds for
        loads under way, which can't be interrupted. True: none is left."""
        self._cancelled.set()
        self._exporter.cancel()
        self._finished.put(None)
        end = time.monotonic() + timeout
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)

    def _work(self, waiting: SimpleQueue[ModelConfig]) -> None:
        while not self._cancelled.is_set():
            try:
                model = waiting.get_nowait()
            except Empty:
                return
            started = time.monotonic()
            try:
                outcomes = self._load_model(model)
            except BaseException as error:  # A panic of the core is no Exception.
                nothing = ModelVersion(ONLY_VERSION, model.location)
                outcomes = [self._failed(model, nothing, started, "INTERNAL", repr(error))]
            self._finished.put(outcomes)

    def _load_model(self, model: ModelConfig) -> list[Outcome]:
        started = time.monotonic()
        try:
            wanted = self._policy.wanted(
                complete_versions(model.location, model.open().versions())
            )
        except ModelLoadError as error:
            nothing = ModelVersion(ONLY_VERSION, model.location)
            return [self._failed(model, nothing, started, "NOT_FOUND", str(error))]
        return [self._load_version(model, version) for version in wanted]

    def _load_version(self, model: ModelConfig, version: ModelVersion) -> Outcome:
        started = time.monotonic()
        try:
            path = Path(version.location)
            path = self._exporter.export(path) if version.needs_export else path
            options = self._options(model.name, path)
            self._engine.load(model.name, version.number, str(path), options)
        except (ModelLoadError, ConfigError) as error:
            return self._failed(model, version, started, "INVALID_ARGUMENT", str(error))
        except NativeError as error:
            return self._failed(model, version, started, None, str(error.args[1]))
        except Exception as error:  # The others must load whatever this one did.
            _log.debug("loading %s", model.location, exc_info=True)
            return self._failed(
                model, version, started, "INTERNAL", f"{model.location}: {error!r}"
            )
        outcome = Outcome(model, version.number, time.monotonic() - started)
        _log.info(
            "model %s version %d loaded in %s",
            model.name,
            version.number,
            format_duration(outcome.seconds),
            extra={"fields": {"model": model.name, "version": version.number, "path": str(path)}},
        )
        return outcome

    def _failed(
        self,
        model: ModelConfig,
        version: ModelVersion,
        started: float,
        code: str | None,
        reason: str,
    ) -> Outcome:
        """Records a failure; code None: the engine has already done so itself."""
        # A path may hold bytes that are no text.
        reason = reason.encode(errors="backslashreplace").decode()
        if code is not None:
            self._engine.fail(model.name, version.number, code, reason)
        level = logging.DEBUG if self._cancelled.is_set() else logging.ERROR
        _log.log(
            level,
            "model %s version %d can't be served: %s",
            model.name,
            version.number,
            reason,
            extra={"fields": {"model": model.name, "version": version.number}},
        )
        return Outcome(model, version.number, time.monotonic() - started, reason)
