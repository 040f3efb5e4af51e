"""The models of one server: what it was told to serve, and how that changes while it runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from tensorwire.config.lifecycle import LifecycleConfig
from tensorwire.errors import ConfigError

from .change import Change
from .config_watch import ConfigWatch, ModelsFile
from .model_config import ModelConfig
from .reconciler import Reconciler


class Repository:
    """The models given at the start, those that a followed file lists, and what has been
    changed since. What was changed lasts until the file changes: then the models are those
    given at the start and those in the file."""

    def __init__(
        self,
        given: Sequence[ModelConfig],
        settings: LifecycleConfig,
        file: ModelsFile | None = None,
    ) -> None:
        """`file`: the file to follow, if there is one.

        Raises ConfigError if it can't be read, or lists a model that was given as well.
        """
        self._given = list(given)
        self._settings = settings
        self._watch: ConfigWatch | None = None
        self.is_followed = False
        """A file says which models there are, and may say so any time."""

        listed: list[ModelConfig] = []
        if file is not None:
            self._watch = ConfigWatch(file, self._apply_file, settings.config_poll_interval)
            listed = self._watch.first()
            self.is_followed = not (file.may_list_none and given and not listed)
        self._reconciler: Reconciler | None = None
        self.first = self._together(listed)
        """The models to begin with."""

    def start(self, reconciler: Reconciler, *, lasting: bool) -> Change:
        """Begins to load, with this; see `Reconciler.apply`."""
        self._reconciler = reconciler.start()
        # Who writes a file may name a model before it is there; who names one at the start
        # would wait without end for a path that is misspelt.
        waits = self.is_followed or self._settings.waits_for_models
        change = reconciler.apply(self.first, lasting=lasting, waits=waits)
        if self._watch is not None and self._settings.config_poll_interval > 0:
            self._watch.start()
        return change

    def stop(self, timeout: float) -> bool:
        """Changes nothing more; True: nothing is under way after so many seconds."""
        if self._watch is not None:
            self._watch.stop()
        return self._reconciler is None or self._reconciler.stop(timeout)

    @property
    def configuration(self) -> Mapping[str, ModelConfig]:
        """The models to serve now, by name."""
        if self._reconciler is None:
            return {model.name: model for model in self.first}
        return self._reconciler.configuration

    def replace(self, models: Sequence[ModelConfig]) -> Change:
        """Serves these models and no others."""
        return self._running().apply([self._resolved(model) for model in models])

    def put(self, model: ModelConfig) -> Change:
        """Adds a model, or takes a new configuration for one that is there."""
        return self._running().put(self._resolved(model))

    def remove(self, name: str) -> Change:
        """Unloads a model."""
        return self._running().remove(name)

    def reload(self, name: str) -> Change:
        """Looks for versions of a model now, and loads again those that are there."""
        return self._running().reload(name)

    def _apply_file(self, listed: Sequence[ModelConfig]) -> None:
        self._running().apply(self._together(listed))

    def _together(self, listed: Sequence[ModelConfig]) -> list[ModelConfig]:
        given = {model.name for model in self._given}
        for model in listed:
            if model.name in given:
                raise ConfigError(
                    f"the model {model.name!r} is listed in a file and was given at the start "
                    "as well: take one of them out"
                )
        return [self._resolved(model) for model in (*self._given, *listed)]

    def _resolved(self, model: ModelConfig) -> ModelConfig:
        """With the server's setting where the model says nothing."""
        if model.versions is not None:
            return model
        return dataclasses.replace(model, versions=self._settings.versions)

    def _running(self) -> Reconciler:
        if self._reconciler is None:
            raise ConfigError("the server has not been started")
        return self._reconciler
