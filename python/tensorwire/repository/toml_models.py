"""The models in `tensorwire.toml`, see `config.toml_file`, and following them."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorwire.config import RequestLog
from tensorwire.config.recorded import WarmupConfig
from tensorwire.config.toml_file import (
    batching_of,
    check_key,
    check_table,
    in_folder,
    read_toml,
)
from tensorwire.errors import ConfigError

from .model_config import ModelConfig

_log = logging.getLogger("tensorwire.repository")

_KEYS = ("path", "versions", "labels", "batching", "transition", "logging", "warmup")
_OPTIONS = ("logging", "warmup")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


class TomlModels:
    """Reads the models again and again. Of changes to [server] it warns: they take a new
    start."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._server: Any = None

    def __call__(self) -> list[ModelConfig]:
        """The models that the file lists now; ConfigError if that can't be known."""
        document = read_toml(self._path)
        models = models_in(self._path, document)
        server = document.get("server", {})
        if self._server is not None and server != self._server:
            names = {*server, *self._server}
            changed = sorted(n for n in names if server.get(n) != self._server.get(n))
            _log.warning(
                "%s: [server] %s changed; that counts from the next start on",
                self._path,
                ", ".join(changed),
            )
        self._server = server
        return models


def models_in(path: Path, document: Mapping[str, Any]) -> list[ModelConfig]:
    """The models of a file's tables; ConfigError with the file, the table and the key."""
    return [
        _model(f"{path}: [models.{name}]", path.parent, name, table)
        for name, table in document.get("models", {}).items()
    ]


def _model(where: str, folder: Path, name: str, table: Any) -> ModelConfig:
    check_table(where, table)
    for key in table:
        check_key(where, key, _KEYS)
    for key in ("labels", *_OPTIONS):
        check_table(f"{where} {key}", table.get(key, {}))
    path = table.get("path")
    if not isinstance(path, str) or not path:
        raise ConfigError(f"{where} needs a path, a text; it is {path!r}")
    if not _URL.match(path):
        path = str((folder / Path(path).expanduser()).absolute())
    batching = batching_of(where, table["batching"]) if "batching" in table else None
    try:
        return ModelConfig(
            name,
            path,
            versions=table.get("versions"),
            labels=table.get("labels", {}),
            transition=table.get("transition"),
            batching=batching,
            options=_options(name, folder, table),
        )
    except ConfigError as error:
        raise ConfigError(f"{where} {error}") from None


def _options(name: str, folder: Path, table: Mapping[str, Any]) -> dict[str, Any]:
    found = {key: dict(table[key]) for key in _OPTIONS if key in table}
    logging = found.get("logging", {})
    if "prefix" in logging:
        logging["prefix"] = in_folder(folder, logging["prefix"])
    # What can't be is told now, and not by versions that can't be loaded.
    if (log := RequestLog.from_table(logging, name)) is not None:
        log.check_folder()
    WarmupConfig().of_model(found.get("warmup", {}), name)
    return found
