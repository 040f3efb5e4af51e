"""The source that is a folder in a store: of numeric versions, or a SavedModel itself."""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tensorwire.errors import ModelLoadError
from tensorwire.repository.local_source import version_number
from tensorwire.repository.saved_model_folder import what_is_missing
from tensorwire.repository.source import (
    GRAPH_FILE,
    ONLY_VERSION,
    FetchWatcher,
    ModelVersion,
    NoVersionsError,
)

from .blocks import BlockReader
from .cache import Slot, StoreCache
from .download import Download
from .filesystems import open_filesystem
from .holding import Holding, Wanted
from .listing import Children, RemoteFile, list_children, list_files, stamp_of, within
from .location import last_part, shown
from .troubles import told_of

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_log = logging.getLogger("tensorwire.repository")


class FolderStore:
    """The versions in a folder such as `s3://bucket/models/mnist`."""

    def __init__(self, location: str, cache: StoreCache) -> None:
        self._location = location.rstrip("/")
        self._name = shown(self._location)
        self._holding = Holding(self._location, cache)
        self._told: set[str] = set()

    def versions(self) -> Sequence[ModelVersion]:
        """The versions there, lowest first, those that are not complete among them: two
        requests for up to a thousand files.

        Raises NoVersionsError if there are none, ModelLoadError if it can't be seen.
        """
        with told_of(self._location):
            filesystem, base = self._opened
            children = list_children(filesystem, base)
            if children.itself is not None:
                raise ModelLoadError(self._is_a_file())
            if GRAPH_FILE in children.files:
                return [_version(ONLY_VERSION, self._name, list_files(filesystem, base))]
            numbered = self._numbered(children)
            if not numbered:
                raise NoVersionsError(self._why_none(children))
            return [
                _version(number, f"{self._name}/{name}", files)
                for number, name, files in self._looks(children, numbered)
            ]

    def fetch(self, version: ModelVersion, watcher: FetchWatcher) -> Path:
        """The version's folder in the cache, downloaded if it is not there yet.

        Raises ModelLoadError if it can't be had, or has changed since it was looked at.
        """
        fill = functools.partial(self._fill, version, watcher)
        name = str(version.number)
        wanted = Wanted(version.location, (name, version.stamp), (name,), fill)
        return self._holding.hold(wanted, version.number, watcher)

    def release(self, version: ModelVersion) -> None:
        """The cache may remove it when it needs room."""
        self._holding.let_go((str(version.number), version.stamp), version.number)

    @functools.cached_property
    def _opened(self) -> tuple[AbstractFileSystem, str]:
        return open_filesystem(self._location)

    def _numbered(self, children: Children) -> dict[int, str]:
        numbered: dict[int, str] = {}
        for name in sorted(children.folders):
            number = version_number(name)
            if number is None:
                continue
            if number in numbered:
                self._tell(f"{self._name}: {name} is used, not {numbered[number]}")
            numbered[number] = name
        return numbered

    def _looks(
        self, children: Children, numbered: dict[int, str]
    ) -> list[tuple[int, str, list[RemoteFile]]]:
        filesystem, base = self._opened
        pairs = sorted(numbered.items())
        if all(version_number(name) is not None for name in children.folders):
            # Nothing else is there: one listing of everything costs the least requests.
            everything = list_files(filesystem, base)
            return [(number, name, within(everything, name)) for number, name in pairs]
        return [(n, name, list_files(filesystem, f"{base}/{name}")) for n, name in pairs]

    def _fill(self, version: ModelVersion, watcher: FetchWatcher, slot: Slot) -> None:
        with told_of(version.location):
            filesystem, base = self._opened
            own = version.location == self._name
            path = base if own else f"{base}/{last_part(version.location)}"
            files = list_files(filesystem, path)
            self._check_same(version, files)
            Download(BlockReader(filesystem), slot, slot.content, watcher).run(files)
            # Of files that were replaced meanwhile, a part may be old and a part new.
            self._check_same(version, list_files(filesystem, path))

    def _check_same(self, version: ModelVersion, files: list[RemoteFile]) -> None:
        if stamp_of(files) != version.stamp:
            raise ModelLoadError(
                f"{version.location} has changed since it was looked at; it is looked at again"
            )

    def _is_a_file(self) -> str:
        name = self._name
        if name.endswith(f"/{GRAPH_FILE}"):
            folder = name.rpartition("/")[0]
            return f"{name} is part of a SavedModel: give its folder, {folder}"
        return f"{name} is a file, and neither an archive (.tar.gz, .zip, ...) nor a Keras file"

    def _why_none(self, children: Children) -> str:
        name = self._name
        if not (children.folders or children.files):
            return f"{name} is empty, or does not exist"
        wanted = f"neither a {GRAPH_FILE} nor a version folder such as {name}/1"
        found = ", ".join([*children.folders, *children.files][:3])
        return f"{name} has {wanted} (found {found})"

    def _tell(self, remark: str) -> None:
        # Once, not at every poll.
        if remark not in self._told:
            self._told.add(remark)
            _log.warning("%s", remark)


def _version(number: int, location: str, files: list[RemoteFile]) -> ModelVersion:
    missing = what_is_missing({file.name for file in files})
    return ModelVersion(number, location, stamp=stamp_of(files), incomplete=missing)
