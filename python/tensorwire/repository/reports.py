"""What the log says of models that come and go."""

from __future__ import annotations

import logging
from typing import Any

from tensorwire.units import format_duration

from .managed_version import ManagedVersion

_log = logging.getLogger("tensorwire.repository")


def tell_loaded(name: str, version: ManagedVersion) -> None:
    """It is available."""
    took = format_duration(version.seconds)
    text = "model %s version %d loaded in %s"
    _log.info(text, name, version.number, took, extra=_fields(name, version))


def tell_unloaded(name: str, version: ManagedVersion) -> None:
    """It is gone, and so is its last request."""
    text = "model %s version %d unloaded"
    _log.info(text, name, version.number, extra=_fields(name, version))


def tell_removed(name: str) -> None:
    """All of the model is gone."""
    _log.info("model %s removed", name, extra={"fields": {"model": name}})


def tell_failure(name: str, version: int, reason: str) -> None:
    """It can't be served."""
    text = "model %s version %d can't be served: %s"
    fields = {"fields": {"model": name, "version": version}}
    _log.error(text, name, version, reason, extra=fields)


def tell_trouble(name: str, reason: str) -> None:
    """Something is wrong with its source, and what was loaded of it goes on answering."""
    _log.warning("model %s: %s", name, reason, extra={"fields": {"model": name}})


def _fields(name: str, version: ManagedVersion) -> dict[str, Any]:
    path = version.offer.location
    return {"fields": {"model": name, "version": version.number, "path": path}}
