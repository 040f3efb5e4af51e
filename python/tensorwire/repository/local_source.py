"""The source that is a local path: a directory of numeric versions, a SavedModel directory,
or a Keras file. Everything else is a `ModelLoadError` whose one sentence says what was
found instead.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from tensorwire.errors import ConfigError, ModelLoadError

from .saved_model_folder import look_at
from .source import (
    GRAPH_FILE,
    MAX_VERSION,
    ONLY_VERSION,
    FetchWatcher,
    ModelVersion,
    NoVersionsError,
    complete_versions,
)
from .stores.location import shown

_log = logging.getLogger("tensorwire.repository")

KERAS_MAGIC = {
    ".keras": b"PK\x03\x04",
    ".h5": b"\x89HDF\r\n\x1a\n",
    ".hdf5": b"\x89HDF\r\n\x1a\n",
}
"""What Keras files begin with, by the endings of their names."""

_SAVED_MODEL_PARTS = frozenset({"variables", "assets", "assets.extra", "fingerprint.pb"})
"""A directory with one of these is a SavedModel that is still being written."""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


class LocalSource:
    """The versions at a local path."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._told: set[str] = set()

    def versions(self) -> Sequence[ModelVersion]:
        """The versions there, lowest first, those that are not complete among them.

        Raises NoVersionsError if there are none, ModelLoadError if it can't be read.
        """
        versions, remarks = _look(self._path)
        # Each is told once, not at every poll.
        for remark in sorted(remarks - self._told):
            _log.warning("%s", remark)
        self._told = remarks
        return versions

    def fetch(self, version: ModelVersion, watcher: FetchWatcher) -> Path:
        """Where it is already."""
        return Path(version.location)

    def release(self, version: ModelVersion) -> None:
        """Nothing is kept."""


def local_path(location: str) -> Path | None:
    """The absolute path that a location without a scheme, or with `file://`, is; None for
    another URL. A ConfigError for one that is no path."""
    if _SCHEME.match(location) is None:
        if not location or "\0" in location:
            raise ConfigError("a model's path can't be empty or hold a NUL")
        # Not resolved: a model behind a link goes by the link's name.
        return Path(os.path.abspath(Path(location).expanduser()))  # noqa: PTH100
    parts = _parts(location)
    if parts.scheme.lower() != "file":
        return None
    if parts.netloc not in ("", "localhost") or not parts.path:
        raise ConfigError(f"{location} is no file: URL of this machine, such as file:///models/m")
    return Path(os.path.normpath(unquote(parts.path)))


def _parts(location: str) -> SplitResult:
    try:
        return urlsplit(location)
    except ValueError as error:
        raise ConfigError(f"{shown(location)} is no URL: {error}") from None


def list_versions(path: Path) -> list[ModelVersion]:
    """The complete versions at a path, lowest first, at least one.

    Raises ModelLoadError if there is none.
    """
    return complete_versions(str(path), LocalSource(path).versions())


def _look(path: Path) -> tuple[list[ModelVersion], set[str]]:
    """The versions, and what there is to remark on."""
    # Paths stay text for as long as they can: this is done at every poll.
    folder = str(path)
    try:
        if os.path.isdir(folder):  # noqa: PTH112
            if os.path.isfile(f"{folder}/{GRAPH_FILE}"):  # noqa: PTH113
                return [_folder(ONLY_VERSION, folder)], set()
            return _numeric_versions(path)
        if path.exists():
            return [_keras_file(path)], set()
    except OSError as error:
        raise ModelLoadError(f"{path} can't be read: {error.strerror}") from error
    raise ModelLoadError(f"{path} does not exist")


def _folder(number: int, folder: str) -> ModelVersion:
    try:
        look = look_at(folder)
    except OSError as error:
        return ModelVersion(number, folder, incomplete=f"can't be read: {error.strerror}")
    return ModelVersion(number, folder, stamp=look.stamp, incomplete=look.incomplete)


def _numeric_versions(path: Path) -> tuple[list[ModelVersion], set[str]]:
    with os.scandir(path) as entries:
        children = sorted(entries, key=lambda entry: entry.name)
    numbered: dict[int, os.DirEntry[str]] = {}
    remarks: set[str] = set()
    for child in children:
        number = version_number(child.name)
        if number is None or not child.is_dir():
            continue
        if number in numbered:
            remarks.add(f"{path}: {child.name} is used, not {numbered[number].name}")
        numbered[number] = child
    if not numbered and _SAVED_MODEL_PARTS.intersection(child.name for child in children):
        return [ModelVersion(ONLY_VERSION, str(path), incomplete=f"has no {GRAPH_FILE}")], set()
    if not numbered:
        raise NoVersionsError(_why_no_versions(path, [Path(child.path) for child in children]))
    versions = [_folder(number, numbered[number].path) for number in sorted(numbered)]
    if any(not each.incomplete for each in versions):
        remarks |= {
            f"{each.location} is passed over: it {each.incomplete}"
            for each in versions
            if each.incomplete
        }
    return versions, remarks


def version_number(name: str) -> int | None:
    """The version that a directory of this name is; None: none."""
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
    numbered = (child for child in path.iterdir() if version_number(child.name) is not None)
    return any((child / GRAPH_FILE).is_file() for child in numbered)


def _keras_file(path: Path) -> ModelVersion:
    suffix = path.suffix.lower()
    if path.name == GRAPH_FILE:
        raise ModelLoadError(f"{path} is part of a SavedModel: give its directory, {path.parent}")
    if suffix not in KERAS_MAGIC:
        raise ModelLoadError(
            f"{path} is neither a SavedModel directory nor a directory of versions, "
            "nor a .keras or .h5 file"
        )
    magic = KERAS_MAGIC[suffix]
    about = path.stat()
    with path.open("rb") as file:
        start = file.read(len(magic))
    if start != magic or (suffix == ".keras" and not zipfile.is_zipfile(path)):
        reason = "empty" if not start else "corrupt or of another kind"
        raise ModelLoadError(f"{path} is not a Keras model: the file is {reason}")
    content = f"{path}\0{about.st_size}\0{about.st_mtime_ns}"
    stamp = hashlib.blake2b(content.encode(errors="surrogateescape"), digest_size=16).hexdigest()
    return ModelVersion(ONLY_VERSION, str(path), needs_export=True, stamp=stamp)
