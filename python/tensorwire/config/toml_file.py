"""Reads `tensorwire.toml`: its syntax, and the settings in its table [server].

    [server]
    port = 8500
    op_library = "./ops.so"

    [models.mnist]
    path = "./models/mnist"
    versions = "all"
    labels = { stable = 3, canary = 4 }
    batching = { max_batch_size = 32 }

Keys of [server] are the settings' names; they count less than the environment and flags. A
path that begins with ./ or ../, and every model's path, is relative to the file's folder.
What [models] says is read by `repository.toml_models`.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tensorwire.errors import ConfigError

from .batching import Batching
from .setting import Setting
from .text_proto import read_bytes

_RELATIVE = re.compile(r"([^/=]+=)?(\.\.?/.*)", re.DOTALL)
"""A path, or MODEL=PATH, as batching_parameters and log_requests have it."""

_NOT_HERE = {
    "model_batching": "say it in [models.NAME], as batching",
    "config": "it is this file",
}


def read_toml(path: Path) -> dict[str, Any]:
    """The tables [server] and [models], as far as they are there.

    Raises ConfigError that names the file, and the place in it.
    """
    return parse_toml(path, read_bytes(path))


def parse_toml(path: Path, content: bytes) -> dict[str, Any]:
    """The same of a file that was read."""
    toml = _toml_reader()
    try:
        document: dict[str, Any] = toml.loads(content.decode())
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not TOML: byte {error.start} is not text") from None
    except ValueError as error:  # tomllib's own error is one.
        raise ConfigError(f"{path} is not TOML: {error}") from None
    for name, value in document.items():
        check_key(f"{path}:", name, ("server", "models"))
        check_table(f"{path}: [{name}]", value)
    return document


def server_settings(
    path: Path, document: Mapping[str, Any], known: Mapping[str, Setting]
) -> dict[str, Any]:
    """The settings in [server], as the tree has them; ConfigError with the key and what it
    may be."""
    where = f"{path}: [server]"
    found = {}
    for name, value in document.get("server", {}).items():
        if name in _NOT_HERE:
            raise ConfigError(f"{where} can't have {name!r}: {_NOT_HERE[name]}")
        check_key(where, name, known)
        if name == "batching":
            found[name] = batching_of(where, value)
        else:
            found[name] = known[name].parse(in_folder(path.parent, value), f"{where} {name}")
    return found


def batching_of(where: str, value: Any) -> Batching:
    """What a table `batching` means; true: as is best, false: none."""
    if isinstance(value, bool):
        return Batching() if value else Batching.off()
    check_table(f"{where} batching", value)
    known = [each.name for each in dataclasses.fields(Batching)]
    for key in value:
        check_key(f"{where} batching", key, known)
    try:
        return Batching(**value)
    except ConfigError as error:
        raise ConfigError(f"{where} batching: {error}") from None


def check_table(where: str, value: Any) -> None:
    """A table; else a ConfigError."""
    if not isinstance(value, dict):
        raise ConfigError(f"{where} must be a table; it is {value!r}")


def check_key(where: str, key: str, known: Iterable[str]) -> None:
    """One of these; else a ConfigError that says which was perhaps meant."""
    names = sorted(known)
    if key in names:
        return
    alike = difflib.get_close_matches(key, names, 1)
    hint = f"did you mean {alike[0]!r}?" if alike else f"there is {', '.join(names)}"
    raise ConfigError(f"{where} has no {key!r}; {hint}")


def in_folder(folder: Path, value: Any) -> Any:
    """The value, in which paths that begin with ./ or ../ are those in this folder."""
    if isinstance(value, list):
        return [in_folder(folder, each) for each in value]
    if isinstance(value, dict):
        return {key: in_folder(folder, each) for key, each in value.items()}
    if isinstance(value, str) and (found := _RELATIVE.fullmatch(value)):
        # pathlib takes the / from the end of a log's prefix.
        end = "/" if value.endswith("/") else ""
        return f"{found[1] or ''}{(folder / found[2]).absolute()}{end}"
    return value


def _toml_reader() -> Any:
    for name in ("tomllib", "tomli"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise ConfigError(
        "reading TOML needs Python 3.11 or the package tomli: pip install 'tensorwire[server]'"
    )
