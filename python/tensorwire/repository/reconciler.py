"""Brings the engine to what is wanted, and keeps it there: follows each model's source,
chooses, loads, unloads, tries again, moves labels.

All that is known is changed by one thread (`event_loop`); what takes time is done by others
(`crew`), which post its result. So every model goes its own way, a broken or slow one holds
up no other, and several changes that come together are one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tensorwire.config.lifecycle import LifecycleConfig
from tensorwire.errors import NotFoundError

from .attendant import Attendant
from .change import Change
from .crew import Crew
from .event_loop import Action, EventLoop
from .loading import Exporter, Loader, LoadingEngine, VersionOptions
from .managed_model import Leaving, ManagedModel
from .model_config import ModelConfig
from .source import Source

FIRST_LOOK = 1


class Reconciler:
    """Keeps the models of one engine. Its methods may be called from any thread; what they
    change is under way when they return, and done when `wait` of their change does."""

    def __init__(
        self,
        engine: LoadingEngine,
        exporter: Exporter,
        options: VersionOptions,
        settings: LifecycleConfig | None = None,
        **parts: Any,
    ) -> None:
        """`parts`: stand-ins for the `clock` (monotonic seconds) and the `crew`, in tests;
        and `open_source`, which makes a model's source, if not `ModelConfig.open`."""
        self._settings = settings or LifecycleConfig()
        self._engine = engine
        self._exporter = exporter
        self._clock: Callable[[], float] = parts.get("clock", time.monotonic)
        self._crew: Crew = parts.get("crew") or Crew.of(self._settings.load_threads)
        self._open_source: Callable[[ModelConfig], Source] = parts.get(
            "open_source", ModelConfig.open
        )
        self._loop = EventLoop(self._attend, self._end, self._clock)
        loader = Loader(engine, exporter, options)
        self._attendant = Attendant(loader, self._settings, self._loop, self._crew)
        self._models: dict[str, ManagedModel] = {}
        self._configs: dict[str, ModelConfig] = {}
        """Exchanged as a whole: it is read by others."""

        self._lock = threading.Lock()
        self._changes: set[Change] = set()

    def start(self) -> Reconciler:
        """Begins to work."""
        self._loop.start()
        return self

    def apply(
        self, models: Sequence[ModelConfig], *, lasting: bool = False, waits: bool = False
    ) -> Change:
        """These are the models from now on, and no others. The change waits for those that
        are new or different; `lasting`: until retries are at their end, and with `waits` until
        there is something to load.

        Raises ConfigError if the source of one can't be opened; then nothing is changed.
        """
        opened = [(model, self._open(model)) for model in models]
        change = Change(self._settings.max_load_retries if lasting else None, waits)
        return self._ask(change, lambda: self._apply(opened, change))

    def put(self, model: ModelConfig) -> Change:
        """Adds a model, or takes a new configuration of one that is there.

        Raises ConfigError if its source can't be opened.
        """
        source = self._open(model)
        change = Change()
        return self._ask(change, lambda: self._put(model, source, change))

    def remove(self, name: str) -> Change:
        """Unloads a model. The change waits for its last request; it is refused if there is
        no such model."""
        change = Change()
        return self._ask(change, lambda: self._remove(name, change))

    def reload(self, name: str) -> Change:
        """Looks for versions now, and loads again those that are served or have failed. The
        change is refused if there is no such model."""
        change = Change()
        return self._ask(change, lambda: self._reload(name, change))

    @property
    def configuration(self) -> Mapping[str, ModelConfig]:
        """The models to serve now, by name."""
        return self._configs

    def step(self) -> None:
        """Does what is asked and due now, in this thread: for one that was not started."""
        self._loop.step()

    def stop(self, timeout: float) -> bool:
        """Begins nothing more, ends fetches, exports and looks that download, and waits up to
        `timeout` seconds for loads under way, which can't be interrupted. True: none is
        left."""
        end = time.monotonic() + timeout
        self._crew.stop()
        self._exporter.cancel()
        self._loop.stop()
        self._loop.join(end)
        return self._crew.load.join(end)

    def _open(self, model: ModelConfig) -> Source | None:
        """Its source; None: the one that is open will do."""
        known = self._configs.get(model.name)
        return None if known is not None and _same_source(known, model) else self._source(model)

    def _source(self, model: ModelConfig) -> Source:
        return self._open_source(model)

    def _ask(self, change: Change, action: Action) -> Change:
        with self._lock:
            self._changes.add(change)
        self._loop.post(action)
        if self._loop.stopping:
            change.give_up()
        return change

    # In the thread of the event loop.

    def _apply(
        self, models: Sequence[tuple[ModelConfig, Source | None]], change: Change
    ) -> list[str]:
        names = {model.name for model, _ in models}
        touched = [name for name in self._configs if name not in names]
        for name in touched:
            self._withdraw(self._models[name])
        for model, source in models:
            if self._configs.get(model.name) != model:
                self._take(model, source, change)
                touched.append(model.name)
        change.begin()
        return touched

    def _put(self, config: ModelConfig, source: Source | None, change: Change) -> list[str]:
        self._take(config, source, change)
        change.begin()
        return [config.name]

    def _take(self, config: ModelConfig, source: Source | None, change: Change) -> None:
        name = config.name
        model = self._models.get(name)
        self._configs = {**self._configs, name: config}
        if model is not None and model.leaving is not Leaving.NOT_BEGUN:
            # Now, not when the other is free: that takes as long as its last request.
            self._engine.declare(name)
            model.successor = lambda: self._take(config, source, change)
            change.looks[name] = FIRST_LOOK
            return
        if model is None or model.removed:
            self._engine.declare(name)
        if model is None:
            source = source or self._source(config)
            model = ManagedModel(config, source, self._settings.poll_interval)
            self._models[name] = model
        elif model.removed or not _same_source(model.config, config):
            model.exchange_config(config, source or self._source(config))
        else:
            model.exchange_config(config)
        change.looks[name] = model.looks.ask()

    def _remove(self, name: str, change: Change) -> list[str]:
        model = self._known(name, change)
        if model is None:
            return []
        self._withdraw(model)
        change.leaving.add(name)
        change.begin()
        return [name]

    def _withdraw(self, model: ManagedModel) -> None:
        was_declared = model.successor is not None
        model.withdraw()
        if was_declared:
            self._attendant.drop(model)
        others = self._configs.items()
        self._configs = {name: each for name, each in others if name != model.name}

    def _reload(self, name: str, change: Change) -> list[str]:
        model = self._known(name, change)
        if model is None:
            return []
        # One that takes over from a removed one of its name has not been looked at.
        change.looks[name] = FIRST_LOOK if model.removed else model.load_again()
        change.begin()
        return [name]

    def _known(self, name: str, change: Change) -> ManagedModel | None:
        if name in self._configs:
            return self._models[name]
        text = f"Could not find any versions of model {name}"
        change.refused = NotFoundError(text, model=name)
        change.begin()
        self._drop_complete()
        return None

    def _attend(self, name: str) -> float | None:
        model = self._models.get(name)
        if model is None:
            return None
        when = self._attendant.attend(model, self._clock())
        if model.leaving is Leaving.DONE:
            self._models.pop(name)
            for change in list(self._changes):
                change.gone(name)
            if model.successor is not None:
                model.successor()
                return self._attend(name)
        for change in list(self._changes):
            change.look_at(model)
        self._drop_complete()
        return when

    def _drop_complete(self) -> None:
        with self._lock:
            self._changes = {change for change in self._changes if not change.complete}

    def _end(self) -> None:
        self._attendant.end(self._models.values())
        with self._lock:
            changes, self._changes = self._changes, set()
        for change in changes:
            change.give_up()


def _same_source(one: ModelConfig, other: ModelConfig) -> bool:
    return one.path == other.path and one.source is other.source
