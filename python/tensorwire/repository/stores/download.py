"""Brings the files of one version into the cache: goes on with what an earlier try has left,
and checks each file against what its store says of it.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Sequence
from io import FileIO
from pathlib import Path
from typing import Protocol

from tensorwire.errors import ModelLoadError
from tensorwire.repository.source import FetchWatcher

from .blocks import Chunk, GaveUp, Part
from .cache import Slot, no_room
from .checksums import Hasher
from .listing import RemoteFile, safe_name
from .progress import Progress
from .troubles import cancelled as was_cancelled
from .troubles import is_no_room, sentence

UNKNOWN_STEP = 64 << 20
"""Room that is taken at a time for a file whose size nobody says."""


class Reader(Protocol):
    """Reads files of a store."""

    def chunks(self, parts: Sequence[Part], cancelled: threading.Event) -> Iterator[Chunk]:
        """The bytes of these parts, in their order."""

    def can_resume(self, file: RemoteFile) -> bool:
        """Whether the rest of exactly this file can be asked for."""

    def is_exact(self, file: RemoteFile) -> bool:
        """Whether the file's checksum is really that of its content. Asked where they
        differ."""


class Download:
    """Of the files of one version into a slot of the cache."""

    def __init__(self, reader: Reader, slot: Slot, folder: Path, watcher: FetchWatcher) -> None:
        """`folder`: where the files are put, in the slot."""
        self._reader = reader
        self._slot = slot
        self._folder = folder
        self._watcher = watcher

    def run(self, files: Sequence[RemoteFile]) -> None:
        """Downloads them, or the rest of them.

        Raises ModelLoadError if that can't be done now; what has arrived is kept for
        the next try, unless the disk is full.
        """
        named = {safe_name(file.name, self._slot.name): file for file in files}
        total = _total(files)
        self._slot.reserve(UNKNOWN_STEP if total is None else total)
        progress = Progress(self._slot.name, total, self._watcher)
        try:
            self._drop_what_changed(named)
            writers = [self._writer(name, file) for name, file in named.items()]
            progress.begin(sum(writer.position for writer in writers))
            self._transfer(writers, progress)
        except GaveUp:
            raise was_cancelled(self._slot.location) from None
        except _Full as error:
            self._slot.discard()
            raise ModelLoadError(no_room(self._slot.location, self._slot.folder.parent)) from error
        except ModelLoadError:
            raise
        except Exception as error:
            raise ModelLoadError(sentence(self._slot.location, error)) from error
        progress.end()

    def _transfer(self, writers: list[_Writer], progress: Progress) -> None:
        by_file = {writer.file: writer for writer in writers}
        parts = [Part(writer.file, writer.position) for writer in writers if not writer.is_whole]
        for writer in writers:
            writer.create()
            if writer.is_whole:
                writer.end()
        current: _Writer | None = None
        try:
            for chunk in self._reader.chunks(parts, self._watcher.cancelled):
                writer = by_file[chunk.file]
                if writer is not current:
                    if current is not None:
                        current.end()
                    current = writer
                progress.add(writer.take(chunk))
                self._hold_room_for(writer)
            if current is not None:
                current.end()
        finally:
            for writer in writers:
                writer.close()

    def _hold_room_for(self, writer: _Writer) -> None:
        if writer.file.size is None and writer.position >= writer.reserved:
            writer.reserved = writer.position + UNKNOWN_STEP
            self._slot.reserve(writer.reserved)

    def _writer(self, name: str, file: RemoteFile) -> _Writer:
        path = self._folder / name
        with _disk():
            path.parent.mkdir(parents=True, exist_ok=True)
            return _Writer(file, path, self._slot.name, self._reader)

    def _drop_what_changed(self, named: dict[str, RemoteFile]) -> None:
        """Of what an earlier try has left, keeps what is the same still."""
        before = self._slot.tags
        with _disk():
            for path in list(self._folder.rglob("*")):
                if not path.is_file():
                    continue
                file = named.get(path.relative_to(self._folder).as_posix())
                same = file is not None and before.get(file.name) == _identity(file)
                if file is None or not same or not self._reader.can_resume(file):
                    path.unlink()
            self._slot.note(tags={file.name: _identity(file) for file in named.values()})


class _Full(Exception):
    """The disk is."""


class _Writer:
    """Writes one file, in order, and checks it at its end."""

    def __init__(self, file: RemoteFile, path: Path, name: str, reader: Reader) -> None:
        self.file = file
        self._reader = reader
        self.reserved = UNKNOWN_STEP
        self._path = path
        self._name = name
        self.position = path.stat().st_size if path.exists() else 0
        if file.size is None or self.position > file.size:
            self.position = 0
        self._output: FileIO | None = None
        self._hasher: Hasher | None = None

    @property
    def is_whole(self) -> bool:
        return self.position == self.file.size

    def create(self) -> None:
        """So that empty files are there as well."""
        with _disk():
            self._path.touch()

    def take(self, chunk: Chunk) -> int:
        """Writes it; the bytes that there are more than before."""
        before = self.position
        if chunk.offset not in (0, self.position):
            raise ModelLoadError(f"{self._name}: {self.file.name} came out of order")
        output = self._open(chunk.offset)
        with _disk():
            rest = memoryview(chunk.data)
            while rest:
                rest = rest[output.write(rest) :]
        if self._hasher is not None:
            self._hasher.update(chunk.data)
        self.position = chunk.offset + len(chunk.data)
        return self.position - before

    def end(self) -> None:
        """Checks all of it, and has it written to the disk."""
        self._open(self.position)
        size, checksum = self.file.size, self.file.checksum
        wrong = size is not None and self.position != size
        if checksum is not None and self._hasher is not None:
            differs = self._hasher.digest() != checksum.digest
            wrong = wrong or (differs and self._reader.is_exact(self.file))
        if wrong:
            self.close()
            self._path.unlink(missing_ok=True)
            raise ModelLoadError(
                f"{self._name}: {self.file.name} arrived damaged: its "
                f"{'size' if checksum is None else checksum.algorithm} is not what the store says"
            )
        with _disk():
            if self._output is not None:
                self._output.flush()
                os.fsync(self._output.fileno())
        self.close()

    def close(self) -> None:
        if self._output is not None:
            with contextlib.suppress(OSError):
                self._output.close()
            self._output = None

    def _open(self, position: int) -> FileIO:
        if self._output is None or position != self.position:
            self.close()
            with _disk():
                # Unbuffered: what a killed process had taken is in the file.
                self._output = self._path.open("r+b", buffering=0)
                self._output.truncate(position)
                self._hasher = self._hash_of(position)
                self._output.seek(position)
        return self._output

    def _hash_of(self, length: int) -> Hasher | None:
        """Of what is there already."""
        checksum = self.file.checksum
        if checksum is None:
            return None
        hasher = checksum.hasher(self.file.size or 0)
        with self._path.open("rb") as file:
            while length > 0 and (data := file.read(min(length, 1 << 20))):
                hasher.update(data)
                length -= len(data)
        return hasher


@contextlib.contextmanager
def _disk() -> Iterator[None]:
    """Tells a full disk from the store's own errors."""
    try:
        yield
    except OSError as error:
        if is_no_room(error):
            raise _Full from error
        where = f" {error.filename}" if error.filename else ""
        raise ModelLoadError(
            f"the store cache can't be written:{where}: {error.strerror}"
        ) from error


def _total(files: Sequence[RemoteFile]) -> int | None:
    sizes = [file.size for file in files]
    return None if None in sizes else sum(size or 0 for size in sizes)


def _identity(file: RemoteFile) -> str:
    return f"{file.size}|{file.tag}"
