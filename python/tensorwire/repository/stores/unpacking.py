"""Unpacks an archive that nobody vouches for: files and folders only, all below one folder,
bounded in number and in bytes, each checked by what the archive says of it.
"""

from __future__ import annotations

import bz2
import contextlib
import errno
import gzip
import importlib
import importlib.util
import lzma
import os
import stat
import tarfile
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tensorwire.errors import ModelLoadError

from .listing import safe_name
from .tar_stream import TarStream
from .troubles import cancelled as was_cancelled
from .troubles import is_no_room, reason_of
from .xz_file import XzFile
from .zip_list import zip_list_bytes

MAX_MEMBERS = 100_000
"""Far more than a SavedModel has, with its assets."""

MAX_ZIP_LIST_BYTES = 16 << 20
"""As long as so many names are; in memory it takes ten times as much."""

_PIECE = 1 << 20
_STEP = 16 << 20
"""Room that is taken ahead."""

_MOST_AFTER_END = 64 << 20
"""Zeros that fill up a tar file are far fewer."""

_TAR_BLOCK = 512
_TAR_MAGIC_AT = 257

_BY_NAMES = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EILSEQ)
"""What names in an archive bring about. Other errors with a number are the disk's."""


class BadArchiveError(ModelLoadError):
    """One that these bytes can't be unpacked of, however often it is tried."""


class NoRoomError(Exception):
    """The disk is full."""


@dataclass
class Unpacking:
    """One archive on its way into a folder."""

    archive: Path
    folder: Path
    """Where its files go; it is there, and empty."""

    name: str
    """The archive's, for messages."""

    reserve: Callable[[int], None]
    """Makes sure of room for this many bytes in all, or raises ModelLoadError."""

    cancelled: threading.Event
    written: int = 0
    """Bytes that came out so far."""

    reserved: int = 0

    members: int = 0

    def run(self) -> None:
        """Unpacks it.

        Raises ModelLoadError for what is no archive, or a broken or hostile one;
        NoRoomError for a full disk.
        """
        try:
            opener = self._opener()
            if opener is _open_zstandard and importlib.util.find_spec("zstandard") is None:
                raise BadArchiveError(
                    f"{self.name} is compressed by zstd, which needs: pip install zstandard"
                )
            if opener is None:
                self._unpack_zip()
            else:
                self._unpack_tar(opener)
        except (ModelLoadError, NoRoomError):
            raise
        except _BROKEN as error:
            if isinstance(error, OSError) and error.errno and error.errno not in _BY_NAMES:
                raise ModelLoadError(
                    f"{self.name} can't be unpacked in {self.folder}: {error.strerror}"
                ) from error
            raise BadArchiveError(
                f"{self.name} is a broken archive: {self._reason(error)}"
            ) from error

    def _opener(self) -> Callable[[Path], Any] | None:
        """What reads the tar file in it; None: it is a zip file."""
        with self.archive.open("rb") as file:
            start = file.read(_TAR_BLOCK)
        if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            return None
        for magic, opener in _COMPRESSED.items():
            if start.startswith(magic):
                return opener
        if start[_TAR_MAGIC_AT : _TAR_MAGIC_AT + 5] == b"ustar":
            return _open_plain
        seems = "; it seems to be a web page" if start.lstrip()[:1] == b"<" else ""
        raise BadArchiveError(
            f"{self.name} is no archive of a kind that is known (tar, tar.gz, tar.bz2, tar.xz, "
            f"tar.zst, zip){seems}"
        )

    def _reason(self, error: BaseException) -> str:
        if isinstance(error, OSError) and error.errno:
            name = str(error.filename).removeprefix(f"{self.folder}{os.sep}")
            return f"{error.strerror}: {name!r}"
        return reason_of(error)

    def _unpack_tar(self, opener: Callable[[Path], Any]) -> None:
        with opener(self.archive) as plain:
            # A compressed one has a checksum of its content, a plain one but zeros at its end.
            for member, content in TarStream(plain, must_end=opener is _open_plain).members():
                if member.isdir():
                    self._make_folder(member.name)
                    continue
                if content is None or member.issparse():
                    kind = "a link" if member.issym() or member.islnk() else "no plain file"
                    raise self._refusal(f"{member.name!r} in it is {kind}")
                self._write(member.name, content, member.size)
            # To its end, where the checksum of the compression is.
            rest = 0
            while data := plain.read(_PIECE):
                self._check_cancelled()
                rest += len(data)
                if rest > _MOST_AFTER_END:
                    raise self._refusal(f"{rest} bytes and more follow its end")

    def _unpack_zip(self) -> None:
        listed = zip_list_bytes(self.archive)
        if listed > MAX_ZIP_LIST_BYTES:
            raise self._refusal(
                f"its list of files has {listed} bytes, more than {MAX_ZIP_LIST_BYTES}"
            )
        with zipfile.ZipFile(self.archive) as archive:
            for member in archive.infolist():
                kind = stat.S_IFMT(member.external_attr >> 16)
                if member.is_dir():
                    self._make_folder(member.filename)
                    continue
                if kind not in (0, stat.S_IFREG):
                    what = "a link" if kind == stat.S_IFLNK else "no plain file"
                    raise self._refusal(f"{member.filename!r} in it is {what}")
                if member.flag_bits & 1:
                    raise self._refusal(f"{member.filename!r} in it is encrypted")
                with archive.open(member) as content:
                    self._write(member.filename, content, member.file_size)

    def _make_folder(self, name: str) -> None:
        self._count()
        with _disk():
            self._place(name).mkdir(parents=True, exist_ok=True)

    def _write(self, name: str, content: IO[bytes], size: int) -> None:
        self._count()
        self._hold_room(self.written + size)
        path = self._place(name)
        if path == self.folder:
            raise self._refusal(f"a file in it has the name {name!r}")
        came = 0
        with _disk(), _file_in(path) as file:
            while data := content.read(_PIECE):
                self._check_cancelled()
                came += len(data)
                self.written += len(data)
                # What it says of itself need not be true.
                self._hold_room(self.written)
                file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if came != size:
            raise tarfile.ReadError(f"{name!r} ends after {came} of {size} bytes")

    def _place(self, name: str) -> Path:
        try:
            return self.folder / safe_name(name, self.name)
        except ModelLoadError as error:
            raise BadArchiveError(str(error)) from None

    def _count(self) -> None:
        self._check_cancelled()
        self.members += 1
        if self.members > MAX_MEMBERS:
            raise self._refusal(f"it has more than {MAX_MEMBERS} files")

    def _check_cancelled(self) -> None:
        if self.cancelled.is_set():
            raise was_cancelled(self.name)

    def _hold_room(self, needed: int) -> None:
        if needed <= self.reserved:
            return
        try:
            self.reserve(needed + _STEP)
            self.reserved = needed + _STEP
        except ModelLoadError:
            # What is needed and no more may fit.
            self.reserve(needed)
            self.reserved = needed

    def _refusal(self, reason: str) -> ModelLoadError:
        return BadArchiveError(f"{self.name} is not unpacked: {reason}")


def _open_plain(path: Path) -> Any:
    return path.open("rb")


def _open_zstandard(path: Path) -> Any:
    return importlib.import_module("zstandard").open(path, "rb")


_COMPRESSED: dict[bytes, Callable[[Path], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": XzFile,
    b"\x28\xb5\x2f\xfd": _open_zstandard,
}
"""What reads a compressed file, by its first bytes."""

_BROKEN = (
    *(tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, lzma.LZMAError),
    # An archive that ends in the middle; a method of compression that is not known.
    *(EOFError, NotImplementedError, ValueError, UnicodeError, OSError),
    # Headers that refer to headers.
    RecursionError,
)


@contextlib.contextmanager
def _file_in(path: Path) -> Iterator[IO[bytes]]:
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name that comes twice is an error: which of them is meant?
    with path.open("xb") as file:
        yield file


@contextlib.contextmanager
def _disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if is_no_room(error):
            raise NoRoomError from error
        raise
