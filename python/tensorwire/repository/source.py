"""Where a model's versions are: what a path is, told by looking at it.

A path may be a directory of numeric versions, a SavedModel directory, or a Keras file.
Everything else is a `ModelLoadError` whose one sentence says what was found instead.
"""

from __future__ import annotations

import logging
import os
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tensorwire.errors import ConfigError, ModelLoadError

_log = logging.getLogger("tensorwire.repository")

GRAPH_FILE = "saved_model.pb"
"""The file that makes a directory a SavedModel."""

ONLY_VERSION = 1
"""The version of a path that has no versions of its own."""

MAX_VERSION = 2**63 - 1
_KERAS_MAGIC = {
    ".keras": b"PK\x03\x04",
    ".h5": b"\x89HDF\r\n\x1a\n",
    ".hdf5": b"\x89HDF\r\n\x1a\n",
}


@dataclass(frozen=True)
class ModelVersion:
    """A version that a source offers."""

    number: int
    """1 to 2**63 - 1, or 0: names of directories parse as int64."""

    path: Path
    """A SavedModel directory, or a Keras file where `needs_export` is set."""

    needs_export: bool = False
    """It has to be turned into a SavedModel before the engine can load it."""


@dataclass(frozen=True)
class NamedModel:
    """A model to serve."""

    name: str
    """What clients call it."""

    path: Path
    """Where it is, absolute; looked at when it is loaded, not before."""


ModelPath = str | os.PathLike[str]


def name_models(
    models: ModelPath | Mapping[str, ModelPath] | Iterable[ModelPath],
) -> list[NamedModel]:
    """The models meant by one path, several paths, or a mapping of names to paths.

    Raises ConfigError if there are none, if a name can't be used, or if two models
    would have the same name.
    """
    if isinstance(models, (str, os.PathLike)):
        models = [models]
    if isinstance(models, Mapping):
        pairs = [(check_name(name), _absolute(path)) for name, path in models.items()]
    else:
        paths = [_absolute(path) for path in models]
        pairs = [(check_name(name_from_path(path)), path) for path in paths]
    if not pairs:
        raise ConfigError("no model was given: name at least one path")
    return unique([NamedModel(name, path) for name, path in pairs])


def unique(models: list[NamedModel]) -> list[NamedModel]:
    """The same models, if no two of them share a name; else a ConfigError that names
    both."""
    seen: dict[str, Path] = {}
    for model in models:
        if model.name in seen:
            raise ConfigError(
                f"{seen[model.name]} and {model.path} would both be called {model.name!r}: "
                f"give one of them a name of its own, as in --model NAME={model.path}"
            )
        seen[model.name] = model.path
    return models


def name_from_path(path: Path) -> str:
    """What a model is called if nobody says: the last part of its path, without the
    ending of a Keras file. A version directory goes by the name of the directory that
    holds it."""
    if path.suffix.lower() in _KERAS_MAGIC and not path.is_dir():
        return path.stem
    if path.name.isdecimal() and path.parent.name and (path / GRAPH_FILE).is_file():
        return path.parent.name
    return path.name


def check_name(name: str) -> str:
    """The name, if clients can ask for it; else a ConfigError."""
    if not name.strip():
        raise ConfigError("a model's name can't be empty: give it one with --model NAME=PATH")
    bad = [character for character in name if character in "/\\" or not character.isprintable()]
    if bad:
        raise ConfigError(f"the model name {name!r} can't contain {bad[0]!r}")
    return name


def list_versions(path: Path) -> list[ModelVersion]:
    """The versions that a path offers, lowest first, at least one.

    Raises ModelLoadError if it offers none.
    """
    try:
        if path.is_dir():
            if (path / GRAPH_FILE).is_file():
                return [ModelVersion(ONLY_VERSION, path)]
            return _numeric_versions(path)
        if path.exists():
            return [_keras_file(path)]
    except OSError as error:
        raise ModelLoadError(f"{path} can't be read: {error.strerror}") from error
    raise ModelLoadError(f"{path} does not exist")


def _absolute(path: ModelPath) -> Path:
    if not str(path):
        raise ConfigError("a model's path can't be empty")
    # Not resolved: a model behind a link goes by the link's name.
    return Path(os.path.abspath(Path(path).expanduser()))  # noqa: PTH100


def _numeric_versions(path: Path) -> list[ModelVersion]:
    children = sorted(path.iterdir())
    numbered: dict[int, Path] = {}
    for child in children:
        number = _version_number(child.name)
        if number is None or not child.is_dir():
            continue
        if number in numbered:
            _log.warning("%s: %s is used, not %s", path, child.name, numbered[number].name)
        numbered[number] = child
    if not numbered:
        raise ModelLoadError(_why_no_versions(path, children))
    complete = {number: each for number, each in numbered.items() if (each / GRAPH_FILE).is_file()}
    for number in sorted(set(numbered) - set(complete)):
        if complete:
            _log.warning("%s is passed over: it has no %s", numbered[number], GRAPH_FILE)
    if not complete:
        names = ", ".join(each.name for each in numbered.values())
        raise ModelLoadError(f"no version directory of {path} has a {GRAPH_FILE} (found {names})")
    return [ModelVersion(number, complete[number]) for number in sorted(complete)]


def _version_number(name: str) -> int | None:
    if not (name.isascii() and name.isdecimal()):
        return None
    number = int(name) if len(name) <= 64 else MAX_VERSION + 1
    return number if number <= MAX_VERSION else None


def _why_no_versions(path: Path, children: list[Path]) -> str:
    if not children:
        return f"{path} is an empty directory"
    wanted = f"neither a {GRAPH_FILE} nor a version directory such as {path.name}/1"
    if any(child.suffix == ".index" or child.name == "checkpoint" for child in children):
        return f"{path} has {wanted}; it looks like a training checkpoint, which has no graph"
    nested = next(
        (child for child in children if child.is_dir() and _offers_versions(child)), None
    )
    if nested is not None:
        return f"{path} has {wanted}; did you mean {nested}?"
    return f"{path} has {wanted}"


def _offers_versions(path: Path) -> bool:
    if (path / GRAPH_FILE).is_file():
        return True
    numbered = (child for child in path.iterdir() if _version_number(child.name) is not None)
    return any((child / GRAPH_FILE).is_file() for child in numbered)


def _keras_file(path: Path) -> ModelVersion:
    suffix = path.suffix.lower()
    if path.name == GRAPH_FILE:
        raise ModelLoadError(f"{path} is part of a SavedModel: give its directory, {path.parent}")
    if suffix not in _KERAS_MAGIC:
        raise ModelLoadError(
            f"{path} is neither a SavedModel directory nor a directory of versions, "
            "nor a .keras or .h5 file"
        )
    magic = _KERAS_MAGIC[suffix]
    with path.open("rb") as file:
        start = file.read(len(magic))
    if start != magic or (suffix == ".keras" and not zipfile.is_zipfile(path)):
        reason = "empty" if not start else "corrupt or of another kind"
        raise ModelLoadError(f"{path} is not a Keras model: the file is {reason}")
    return ModelVersion(ONLY_VERSION, path, needs_export=True)
