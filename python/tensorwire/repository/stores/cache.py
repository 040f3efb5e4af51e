"""The folder that keeps what was downloaded, bounded in size and shared by processes.

    KEY/            a version, whole: `content/`, and `entry.json` with the sizes of its files
    KEY.partial/    one that is being downloaded, or was, until somebody goes on with it
    KEY.lock        held with others by who serves from KEY/, alone by who removes it
    KEY.partial.lock   held alone by who downloads
    .room.lock      held for a moment by who makes room

A version is put in place by one rename, after all of it is on the disk.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import shutil
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tensorwire.errors import ModelLoadError
from tensorwire.units import format_size

from .location import shown
from .locks import FileLock
from .troubles import cancelled as was_cancelled

_log = logging.getLogger("tensorwire.repository")

_ENTRY, _CONTENT, _STATE = "entry.json", "content", "state.json"
_PARTIAL, _TRASH = ".partial", ".trash-"
_OURS = re.compile(r"[0-9a-f]{32}(\.partial)?|\.trash-[0-9a-f]{32}")
"""The names of the folders that are made here. Whatever else is there, in a folder that was not
the cache's alone, is somebody else's."""
_FOREVER = threading.Event()


class TooLargeError(ModelLoadError):
    """For a version that the cache could not keep, were nothing else in it."""


class StoreCache:
    """What was downloaded; may be used from several threads, and processes."""

    def __init__(self, folder: Path, limit: int) -> None:
        """`folder`: made when it is needed; `limit`: bytes, 0: none."""
        self.folder = folder
        self.limit = limit

    def lease(self, key: str) -> Lease | None:
        """A version that is there and whole; it stays until the lease is given back."""
        folder = self.folder / key
        if not folder.is_dir():
            return None
        with _usable(self.folder):
            lock = FileLock.try_take(self._lock_of(folder), alone=False)
            if lock is None:
                return None  # It is being removed.
            if _is_whole(folder):
                return Lease(folder, lock)
            lock.close()
            self._remove(folder)
        return None

    @contextlib.contextmanager
    def slot(self, key: str, location: str, cancelled: threading.Event) -> Iterator[Slot]:
        """Where a version is downloaded to, with what an earlier try has left. Waits for
        another thread or process that downloads the same."""
        folder = self.folder / (key + _PARTIAL)
        with _usable(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock.try_take(self._lock_of(folder), alone=True)
            if lock is None:
                _log.info(
                    "%s is being downloaded by another process or model: waiting", shown(location)
                )
                lock = FileLock.take(self._lock_of(folder), cancelled)
        if lock is None:
            raise was_cancelled(location)
        slot = Slot(self, folder, location)
        try:
            with _usable(self.folder):
                slot.content.mkdir(parents=True, exist_ok=True)
            yield slot
        finally:
            if not folder.exists():
                lock.remove()
            lock.close()

    def make_room(self, needed: int, slot: Slot) -> None:
        """Removes what was used longest ago until a slot of `needed` bytes fits, within the
        limit and on the disk, and counts it as that large from now on; ModelLoadError if
        that can't be done."""
        with _usable(self.folder):
            lock = FileLock.take(self.folder / ".room.lock", _FOREVER)
            try:
                self._empty_trash()
                held = [each for each in self._holdings() if each.folder != slot.folder]
                self._make_room(needed, slot, held)
                slot.note(reserved=needed)
            finally:
                if lock is not None:
                    lock.close()

    def put_in_place(self, slot: Slot, key: str) -> Lease:
        """Makes an entry of a slot that is whole."""
        folder = self.folder / key
        files = dict(_sizes(slot.content))
        entry = {"location": slot.name, "bytes": sum(files.values()), "files": files}
        with _usable(self.folder):
            for each in [slot.content, *(p for p in slot.content.rglob("*") if p.is_dir())]:
                _sync(each)
            _write_json(slot.folder / _ENTRY, entry)
            (slot.folder / _STATE).unlink(missing_ok=True)
            _sync(slot.folder)
            # Held before it is there, so that nobody makes room with it.
            lock = FileLock.take(self._lock_of(folder), _FOREVER, alone=False)
            if lock is None or folder.exists():
                # Under this lock's key only a damaged one can be there.
                self._trash(folder)
            slot.folder.rename(folder)
            _sync(self.folder)
        if lock is None:
            raise ModelLoadError(f"{slot.name} can't be kept in {self.folder}: no lock")
        return Lease(folder, lock)

    def _make_room(self, needed: int, slot: Slot, held: list[_Holding]) -> None:
        # What it has of its room already.
        own = _bytes_below(slot.folder)
        on_disk = sum(each.on_disk for each in held)
        total = sum(each.size for each in held)
        if self.limit and needed > self.limit:
            raise self._too_full(slot.location, needed, total)
        if needed > self._free() + own + on_disk:
            # Others have the disk: removing all that is here would be in vain.
            raise ModelLoadError(no_room(slot.location, self.folder))
        total = self._evict(held, needed, own)
        if self.limit and total + needed > self.limit:
            raise self._too_full(slot.location, needed, total)
        if needed > self._free() + own:
            raise ModelLoadError(no_room(slot.location, self.folder))

    def _free(self) -> int:
        return shutil.disk_usage(self.folder).free

    def _too_full(self, location: str, needed: int, held: int) -> ModelLoadError:
        about = f"{shown(location)} needs {format_size(needed)} in the store cache {self.folder}"
        if needed > self.limit:
            limit = format_size(self.limit)
            return TooLargeError(f"{about}, more than its limit of {limit} (store_cache_size)")
        return ModelLoadError(
            f"{about}: of its limit of {format_size(self.limit)} (store_cache_size) "
            f"{format_size(held)} are in use"
        )

    def _holdings(self) -> list[_Holding]:
        """All that takes room, longest unused first."""
        found = []
        for folder in self._folders():
            if not folder.name.startswith(_TRASH):
                with contextlib.suppress(FileNotFoundError):
                    found.append(_holding(folder))
        return sorted(found, key=lambda each: each.used_at)

    def _evict(self, held: list[_Holding], needed: int, own: int) -> int:
        """Bytes that are left. The limit may be more than the disk has."""
        total = sum(each.size for each in held)
        for each in held:
            within = not self.limit or total + needed <= self.limit
            if within and needed <= self._free() + own:
                break
            if self._remove(each.folder):
                _log.info("%s was removed from the store cache to make room", each.name)
                total -= each.size
        return total

    def _remove(self, folder: Path) -> bool:
        """False: it is in use."""
        lock = FileLock.try_take(self._lock_of(folder), alone=True)
        if lock is None:
            return False
        try:
            self._trash(folder)
            lock.remove()
        finally:
            lock.close()
        return True

    def _trash(self, folder: Path) -> None:
        # Renamed first: one that is half removed must not be taken for a version.
        trash = self.folder / f"{_TRASH}{uuid.uuid4().hex}"
        with contextlib.suppress(FileNotFoundError):
            folder.rename(trash)
        shutil.rmtree(trash, ignore_errors=True)

    def _empty_trash(self) -> None:
        for folder in self._folders():
            if folder.name.startswith(_TRASH):
                shutil.rmtree(folder, ignore_errors=True)

    def _folders(self) -> list[Path]:
        return [
            each for each in self.folder.iterdir() if _OURS.fullmatch(each.name) and each.is_dir()
        ]

    def _lock_of(self, folder: Path) -> Path:
        return folder.with_name(f"{folder.name}.lock")


class Lease:
    """A version in the cache that is in use."""

    def __init__(self, folder: Path, lock: FileLock) -> None:
        self.content = folder / _CONTENT
        """Its files."""
        self._entry = folder / _ENTRY
        self._lock = lock
        self._touch()

    def close(self) -> None:
        """It is in use no longer."""
        self._touch()
        self._lock.close()

    def _touch(self) -> None:
        # The order of use; a cache that can't be written to is read all the same.
        with contextlib.suppress(OSError):
            os.utime(self._entry)


class Slot:
    """Where one version is downloaded to, by one thread at a time."""

    def __init__(self, cache: StoreCache, folder: Path, location: str) -> None:
        self.folder = folder
        self.content = folder / _CONTENT
        """The version's files, as far as they are there."""
        self.location = location
        self.name = shown(location)
        self._cache = cache
        self._state: dict[str, Any] = _read_json(folder / _STATE)
        if self._state.get("boot") != _boot():
            # What the system had not written yet when the machine went down is not there,
            # whatever the length of the file says.
            self._state = {}

    @property
    def tags(self) -> dict[str, str]:
        """What each file was when it was begun, by its name: only what is the same still
        may be gone on with."""
        tags = self._state.get("tags")
        return dict(tags) if isinstance(tags, dict) else {}

    def note(self, **values: Any) -> None:
        """Keeps values for later tries."""
        self._state |= {**values, "location": self.name, "boot": _boot()}
        _write_json(self.folder / _STATE, self._state, synced=False)

    def reserve(self, needed: int) -> None:
        """Makes sure of room for this many bytes in all; ModelLoadError if there is none."""
        self._cache.make_room(needed, self)

    def discard(self) -> None:
        """Removes what is there, and the room it has."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def put_in_place(self, key: str) -> Lease:
        """Ends it: the version is whole."""
        return self._cache.put_in_place(self, key)


@dataclass(frozen=True)
class _Holding:
    folder: Path
    name: str
    size: int
    """What it counts as: all of it, where some is still to come."""

    on_disk: int
    used_at: float


def no_room(location: str, folder: Path) -> str:
    """For a disk that is full."""
    return f"{shown(location)} can't be kept: there is no space left for the store cache {folder}"


def _holding(folder: Path) -> _Holding:
    partial = folder.name.endswith(_PARTIAL)
    about = folder / (_STATE if partial else _ENTRY)
    values = _read_json(about)
    size = values.get("reserved" if partial else "bytes")
    if not isinstance(size, int):
        size = 0
    on_disk = _bytes_below(folder) if partial or not size else size
    used = about if about.exists() else folder
    name = str(values.get("location", folder.name))
    return _Holding(folder, name, max(size, on_disk), on_disk, used.stat().st_mtime)


def _is_whole(folder: Path) -> bool:
    files = _read_json(folder / _ENTRY).get("files")
    return isinstance(files, dict) and dict(_sizes(folder / _CONTENT)) == files


def _sizes(folder: Path) -> Iterator[tuple[str, int]]:
    for path in sorted(_files(folder)):
        # Another process may be at work there.
        with contextlib.suppress(FileNotFoundError):
            yield path.relative_to(folder).as_posix(), path.stat().st_size


def _files(folder: Path) -> Iterator[Path]:
    for place, _, names in os.walk(folder):
        yield from (Path(place, name) for name in names)


def _bytes_below(folder: Path) -> int:
    return sum(size for _, size in _sizes(folder))


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def _write_json(path: Path, values: dict[str, Any], *, synced: bool = True) -> None:
    partial = path.with_name(f"{path.name}.new")
    with partial.open("w") as file:
        json.dump(values, file)
        file.flush()
        if synced:
            os.fsync(file.fileno())
    partial.replace(path)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _boot() -> str:
    """The machine's start, which differs after a crash of all of it."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


@contextlib.contextmanager
def _usable(folder: Path) -> Iterator[None]:
    """Makes an error of the cache's own folder a sentence."""
    try:
        yield
    except OSError as error:
        raise ModelLoadError(
            f"the store cache {folder} can't be used: {error.strerror or error}"
        ) from error
