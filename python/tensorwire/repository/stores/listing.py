"""What is stored where: the files of a folder in a store, with what tells whether they
changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from tensorwire.errors import ModelLoadError

from .checksums import Checksum, of_object

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_TAGS = (
    *("ETag", "etag", "md5Hash", "crc32c", "generation", "blob_id"),
    *("LastModified", "last_modified", "updated", "mtime", "modified", "modify", "created"),
)
"""Where filesystems say what changes with a file's content."""


@dataclass(frozen=True)
class RemoteFile:
    """A file in a store."""

    path: str
    """As its filesystem calls it."""

    name: str
    """Below the version's folder, with slashes between the parts."""

    size: int | None
    """Bytes; None: unknown until it is read."""

    tag: str
    """The same as long as the content is: etag, time and the like; empty: unknown."""

    checksum: Checksum | None = None


@dataclass(frozen=True)
class Children:
    """What is directly in a folder: names and nothing before them."""

    folders: tuple[str, ...]
    files: tuple[str, ...]

    itself: RemoteFile | None = None
    """Set where it is no folder, but a file."""


def list_children(filesystem: AbstractFileSystem, path: str) -> Children:
    """What is in a folder now; FileNotFoundError and others as the filesystem has them."""
    base = path.rstrip("/")
    filesystem.invalidate_cache(base)
    folders: list[str] = []
    files: list[str] = []
    for info in filesystem.ls(base, detail=True, refresh=True):
        name = str(info["name"]).rstrip("/")
        if name.strip("/") == base.strip("/"):
            # The folder's own placeholder, or the file that it is.
            if info["type"] == "file" and not str(info["name"]).endswith("/"):
                file = remote_file(filesystem, info, PurePosixPath(base).name)
                if file.size or not filesystem.isdir(base):
                    return Children((), (), file)
            continue
        kind = folders if info["type"] == "directory" else files
        kind.append(name.rpartition("/")[2])
    return Children(tuple(folders), tuple(files))


def list_files(filesystem: AbstractFileSystem, path: str) -> list[RemoteFile]:
    """Every file below a folder, by name."""
    base = path.rstrip("/")
    filesystem.invalidate_cache(base)
    found: Mapping[str, Mapping[str, Any]] = filesystem.find(base, detail=True)
    files = []
    for key, info in found.items():
        # Placeholders of folders have a slash at the end.
        if info.get("type") == "directory" or key.endswith("/"):
            continue
        name = key.strip("/").removeprefix(base.strip("/")).lstrip("/")
        if name:
            files.append(remote_file(filesystem, info, name))
    return sorted(_without_markers(files), key=lambda file: file.name)


def _without_markers(files: list[RemoteFile]) -> list[RemoteFile]:
    """But for empty ones that have the name of a folder: some programs make them for it."""
    empty = [file.name for file in files if file.size == 0]
    markers = {name for name in empty if any(each.name.startswith(f"{name}/") for each in files)}
    return [file for file in files if file.name not in markers]


def within(files: Iterable[RemoteFile], folder: str) -> list[RemoteFile]:
    """Those in one folder, named from there."""
    start = f"{folder}/"
    return [
        RemoteFile(each.path, each.name.removeprefix(start), each.size, each.tag, each.checksum)
        for each in files
        if each.name.startswith(start)
    ]


def stamp_of(files: Iterable[RemoteFile]) -> str:
    """Differs exactly if a name, a size or a tag does."""
    lines = [f"{file.name}\0{file.size}\0{file.tag}" for file in files]
    content = "\n".join(sorted(lines)).encode(errors="surrogateescape")
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def safe_name(name: str, where: str) -> str:
    """The name of a file, if it stays below the folder that it is put in; else a
    ModelLoadError."""
    parts = name.split("/")
    if name.startswith("/") or "\\" in name or "\0" in name or ".." in parts:
        raise ModelLoadError(f"{where} has a file {name!r}, which would lie outside of its folder")
    return "/".join(part for part in parts if part not in ("", "."))


def remote_file(filesystem: AbstractFileSystem, info: Mapping[str, Any], name: str) -> RemoteFile:
    """What a filesystem says of a file."""
    size = info.get("size")
    tag = "|".join(str(info[key]) for key in _TAGS if info.get(key))
    protocol = filesystem.protocol
    scheme = protocol if isinstance(protocol, str) else protocol[0]
    return RemoteFile(
        str(info["name"]),
        name,
        None if size is None else int(size),
        tag,
        of_object(scheme, info),
    )
