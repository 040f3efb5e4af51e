"""The sources that are one file: an archive of a SavedModel or of versions, a Keras file."""

from __future__ import annotations

import dataclasses
import functools
import logging
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tensorwire.errors import ModelLoadError
from tensorwire.repository.local_source import LocalSource, version_number
from tensorwire.repository.source import (
    GRAPH_FILE,
    ONLY_VERSION,
    FetchWatcher,
    ModelVersion,
    NoVersionsError,
)

from .blocks import BlockReader
from .cache import Slot, StoreCache, no_room
from .download import Download, Reader
from .filesystems import open_filesystem
from .holding import Holding, Wanted
from .http_reader import HttpReader
from .listing import RemoteFile, remote_file, stamp_of
from .location import last_part, scheme_of, shown
from .setbacks import Setbacks
from .troubles import told_of
from .unpacking import NoRoomError, Unpacking

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_log = logging.getLogger("tensorwire.repository")

_ARCHIVE = "archive"
_NOT_OURS = ("__MACOSX",)
"""Folders that some programs put beside what they pack."""


class _OneFile:
    """A file in a store."""

    def __init__(self, location: str, name: str) -> None:
        self._location = location
        self._name = name
        self._since = uuid.uuid4().hex
        self._told = False

    def stamp(self) -> str:
        """Differs exactly if the content does, as far as the store tells."""
        return self._stamp_of(self._look())

    def _look(self) -> RemoteFile:
        """What the store says of it now."""
        with told_of(self._location):
            filesystem, path = self._opened
            if isinstance(self._reader, HttpReader):
                return self._reader.look(path, self._name)
            filesystem.invalidate_cache(path)
            info = filesystem.info(path, refresh=True)
            if info["type"] != "file":
                raise ModelLoadError(f"{shown(self._location)} is no file, but a folder")
            return remote_file(filesystem, info, self._name)

    def download(self, stamp: str, slot: Slot, folder: Path, watcher: FetchWatcher) -> None:
        """Brings it into a folder of the slot; ModelLoadError if it is not what had this
        stamp."""
        with told_of(self._location):
            file = self._look()
            self._check_same(stamp, file)
            Download(self._reader, slot, folder, watcher).run([file])
            self._check_same(stamp, self._look())

    def _stamp_of(self, file: RemoteFile) -> str:
        stamp = stamp_of([file])
        if file.tag:
            return stamp
        if not self._told:
            self._told = True
            _log.warning(
                "%s: its server says neither ETag nor Last-Modified: a change that keeps its "
                "size is not seen before a restart",
                shown(self._location),
            )
        # What an earlier process has kept may be something else.
        return f"{stamp}-{self._since}"

    def _check_same(self, stamp: str, file: RemoteFile) -> None:
        if self._stamp_of(file) != stamp:
            raise ModelLoadError(
                f"{shown(self._location)} has changed since it was looked at; "
                "it is looked at again"
            )

    @functools.cached_property
    def _opened(self) -> tuple[AbstractFileSystem, str]:
        return open_filesystem(self._location)

    @functools.cached_property
    def _reader(self) -> Reader:
        filesystem, _ = self._opened
        if scheme_of(self._location) in ("http", "https"):
            return HttpReader(filesystem)
        return BlockReader(filesystem)


class KerasStore:
    """A Keras file in a store: version 1."""

    def __init__(self, location: str, cache: StoreCache) -> None:
        self._location = location
        self._file = _OneFile(location, last_part(location))
        self._holding = Holding(location, cache)

    def versions(self) -> Sequence[ModelVersion]:
        """The one; ModelLoadError if it can't be seen."""
        stamp = self._file.stamp()
        return [ModelVersion(ONLY_VERSION, shown(self._location), needs_export=True, stamp=stamp)]

    def fetch(self, version: ModelVersion, watcher: FetchWatcher) -> Path:
        """The file in the cache; ModelLoadError if it can't be had."""
        wanted = Wanted(
            self._location,
            ("keras", version.stamp),
            ("keras",),
            lambda slot: self._file.download(version.stamp, slot, slot.content, watcher),
        )
        folder = self._holding.hold(wanted, version.number, watcher)
        return folder / last_part(self._location)

    def release(self, version: ModelVersion) -> None:
        """The cache may remove it."""
        self._holding.let_go(("keras", version.stamp), version.number)


class ArchiveStore:
    """An archive in a store. What versions are in it is only seen when it is unpacked, so a
    look at one that has changed downloads it."""

    def __init__(self, location: str, cache: StoreCache) -> None:
        self._location = location
        self._file = _OneFile(location, _ARCHIVE)
        self._holding = Holding(location, cache)
        self._seen: tuple[str, list[ModelVersion]] = ("", [])
        self._looking = FetchWatcher()
        self._setbacks = Setbacks()

    def versions(self) -> Sequence[ModelVersion]:
        """The versions in it, lowest first; one request where it is as it was.

        Raises ModelLoadError if it can't be seen or unpacked, NoVersionsError if no
        version is in it.
        """
        stamp = self._file.stamp()
        if stamp != self._seen[0]:
            folder = self._hold_to_look(stamp)
            try:
                self._seen = (stamp, self._versions_in(folder, stamp))
            finally:
                self._holding.let_go((_ARCHIVE, stamp), _LOOKING)
        return list(self._seen[1])

    def fetch(self, version: ModelVersion, watcher: FetchWatcher) -> Path:
        """The version's folder in the cache; ModelLoadError if it can't be had."""
        wanted = self._wanted(version.stamp, watcher)
        folder = _root(self._holding.hold(wanted, version.number, watcher))
        inside = version.location.removeprefix(shown(self._location)).strip("!/")
        return folder / inside if inside else folder

    def release(self, version: ModelVersion) -> None:
        """The cache may remove the archive's content once none of its versions is used."""
        self._holding.let_go((_ARCHIVE, version.stamp), version.number)

    def close(self) -> None:
        """Ends a look that downloads, for good: who wants another makes another store."""
        self._looking.cancelled.set()

    def _hold_to_look(self, stamp: str) -> Path:
        self._setbacks.check(stamp)
        try:
            wanted = self._wanted(stamp, self._looking)
            folder = self._holding.hold(wanted, _LOOKING, self._looking)
        except ModelLoadError as error:
            self._setbacks.note(stamp, error)
            raise
        self._setbacks.forget()
        return folder

    def _wanted(self, stamp: str, watcher: FetchWatcher) -> Wanted:
        fill = functools.partial(self._fill, stamp, watcher)
        return Wanted(self._location, (_ARCHIVE, stamp), (_ARCHIVE,), fill)

    def _fill(self, stamp: str, watcher: FetchWatcher, slot: Slot) -> None:
        folder = slot.folder / _ARCHIVE
        folder.mkdir(exist_ok=True)
        self._file.download(stamp, slot, folder, watcher)
        archive = folder / _ARCHIVE
        packed = archive.stat().st_size
        # An earlier try may have been cut off while it unpacked.
        shutil.rmtree(slot.content, ignore_errors=True)
        slot.content.mkdir()
        unpacking = Unpacking(
            archive=archive,
            folder=slot.content,
            name=shown(self._location),
            reserve=lambda size: slot.reserve(packed + size),
            cancelled=watcher.cancelled,
        )
        try:
            unpacking.run()
        except NoRoomError as error:
            slot.discard()
            raise ModelLoadError(no_room(self._location, slot.folder.parent)) from error
        except ModelLoadError:
            if not watcher.cancelled.is_set():
                # Whatever is wrong with it, the same bytes would bring it again.
                slot.discard()
            raise
        shutil.rmtree(folder)

    def _versions_in(self, folder: Path, stamp: str) -> list[ModelVersion]:
        root = _root(folder)
        try:
            found = LocalSource(root).versions()
        except ModelLoadError as error:
            text = str(error).replace(str(root), shown(self._location))
            raise type(error)(text) from error
        if any(each.needs_export for each in found):
            raise NoVersionsError(f"{shown(self._location)} holds no SavedModel")
        return [
            dataclasses.replace(each, stamp=stamp, location=self._named(each.location, root))
            for each in found
        ]

    def _named(self, path: str, root: Path) -> str:
        inside = Path(path).relative_to(root).as_posix()
        name = shown(self._location)
        return name if inside == "." else f"{name}!/{inside}"


_LOOKING = -1
"""Holds an archive while its versions are listed; no version has this number."""


def _root(folder: Path) -> Path:
    """The folder in an archive that is meant: most archives have one folder, with all that
    was packed in it."""
    while not (folder / GRAPH_FILE).exists():
        inside = [each for each in folder.iterdir() if _counts(each.name)]
        numbered = any(version_number(each.name) is not None for each in inside)
        if numbered or len(inside) != 1 or not inside[0].is_dir():
            break
        folder = inside[0]
    return folder


def _counts(name: str) -> bool:
    return not name.startswith(".") and name not in _NOT_OURS
