"""The part of `Server` that changes its models while it runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from . import _core
from .errors import ModelLoadError, NotFoundError, UnavailableError
from .repository.change import Change
from .repository.model_config import ModelConfig
from .repository.naming import Models, OneModel, name_models
from .repository.repository import Repository
from .signature import ModelStatus


class ServedModels:
    """Models that can be added, removed and exchanged. Such changes last until the file that
    lists the models changes, if there is one. All methods may be called from any thread."""

    _repository: Repository
    _engine: _core.Engine | None

    @property
    def models(self) -> dict[str, ModelStatus]:
        """The states of each model's versions."""
        return {name: self._status(name) for name in self.configuration}

    @property
    def configuration(self) -> Mapping[str, ModelConfig]:
        """The models that it is to serve now, by name."""
        return dict(self._repository.configuration)

    def add_model(
        self, name: str, model: OneModel, *, timeout: float | None = None, **config: Any
    ) -> ModelStatus:
        """Serves one more model, or one of this name otherwise than before: a path, a
        `Source` or a `ModelConfig`, with `versions`, `labels` and what else a `ModelConfig`
        has. Waits until it is available or has failed, at most `timeout` seconds (None: as
        long as it takes).

        Raises ConfigError for what can't be, ModelLoadError if a version can't be loaded;
        the model is kept then, and tried again, unless it is removed. As every change, this
        raises UnavailableError if the server is stopped before it is done.
        """
        (named,) = name_models({name: model})
        change = self._repository.put(dataclasses.replace(named, **config))
        return self._changed(name, change, timeout)

    def reload_model(self, name: str, *, timeout: float | None = None) -> ModelStatus:
        """Looks for versions of a model now, and loads those again that are served or have
        failed. Waits as `add_model` does.

        Raises NotFoundError if there is no such model, ModelLoadError if a version can't be
        loaded; what was served of it before still is.
        """
        return self._changed(name, self._repository.reload(name), timeout)

    def remove_model(self, name: str, *, timeout: float | None = None) -> None:
        """Takes a model out of service, and waits for its last request, at most `timeout`
        seconds (None: as long as it takes). NotFoundError if there is none of this name."""
        change = self._repository.remove(name)
        change.wait(timeout)
        _raise_failures(change)

    def set_labels(self, name: str, labels: Mapping[str, int]) -> None:
        """Gives a model these labels of versions and no others. A label moves when the
        version that it is to point at is available; this waits for it.

        Raises NotFoundError if there is no such model, ConfigError for a version that is not
        to be served, ModelLoadError if one can't be loaded.
        """
        known = self.configuration.get(name)
        if known is None:
            raise NotFoundError(f"there is no model {name}", model=name)
        change = self._repository.put(dataclasses.replace(known, labels=labels))
        self._changed(name, change, None)

    def replace_models(self, models: Models, *, timeout: float | None = None) -> None:
        """Serves these models and no others ({}: none). Waits for those that are new or
        different, as `add_model` does; those left out go when their last request is answered.

        Raises ConfigError for what can't be, and then nothing is changed; ModelLoadError if
        one of them can't be loaded.
        """
        change = self._repository.replace(name_models(models) if models else [])
        change.wait(timeout)
        _raise_failures(change)

    def _changed(self, name: str, change: Change, timeout: float | None) -> ModelStatus:
        change.wait(timeout)
        _raise_failures(change)
        return self._status(name)

    def _status(self, name: str) -> ModelStatus:
        if self._engine is None:
            return ModelStatus(name, ())
        try:
            return ModelStatus.from_tuples(name, self._engine.status(name))
        except _core.NativeError:
            # Declared, and not looked at yet.
            return ModelStatus(name, ())


def _raise_failures(change: Change) -> None:
    if change.refused is not None:
        raise change.refused
    if change.failures:
        reasons = [
            f"model {each.model.name} version {each.version} can't be served: {each.error}"
            for each in change.failures
        ]
        raise ModelLoadError("; ".join(reasons), model=change.failures[0].model.name)
    if change.labels:
        raise change.labels[0]
    if change.given_up:
        raise UnavailableError("the server was stopped before it was done")
