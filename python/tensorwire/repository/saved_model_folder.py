"""What is in a SavedModel's folder: whether all of it is there, and a stamp that changes when
its files do. Only names, sizes and times are looked at: this is done at every poll.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from .source import GRAPH_FILE

_INDEX = "variables/variables.index"
_LITE = "model.tflite"
_SHARD = re.compile(r"variables/variables\.data-(\d{5})-of-(\d{5})")


@dataclass(frozen=True)
class FolderLook:
    """What a look found."""

    stamp: str
    incomplete: str
    """What is missing, as in `has no saved_model.pb`; empty: nothing."""


def look_at(folder: str) -> FolderLook:
    """Looks at it; OSError if it can't be read."""
    files = dict(sorted(_files(folder)))
    # Where it really is counts: the same files elsewhere are another version, and of a link
    # that is switched over all the rest may be the same.
    told = (f"{name}\0{size}\0{time}" for name, (size, time) in files.items())
    lines = [os.path.realpath(folder), *told]
    stamp = hashlib.blake2b("\n".join(lines).encode(errors="surrogateescape"), digest_size=16)
    return FolderLook(stamp.hexdigest(), what_is_missing(files))


def what_is_missing(files: Collection[str]) -> str:
    """Of a SavedModel with files of these names, as in `has no saved_model.pb`; empty:
    nothing."""
    if GRAPH_FILE not in files:
        lite = ", but a TensorFlow Lite model, which is not served" if _LITE in files else ""
        return f"has no {GRAPH_FILE}{lite}"
    shards = [match for match in map(_SHARD.fullmatch, files) if match]
    if not shards and _INDEX not in files:
        # It may be one without variables. If not, loading it says so.
        return ""
    if _INDEX not in files:
        return f"has no {_INDEX}"
    count = int(shards[0][2]) if shards else 1
    for number in range(count):
        name = f"variables/variables.data-{number:05}-of-{count:05}"
        if name not in files:
            return f"has no {name}"
    return ""


def _files(folder: str) -> Iterator[tuple[str, tuple[int, int]]]:
    """Every file below the folder, links followed."""
    waiting = [("", folder)]
    seen: set[tuple[int, int]] = set()
    while waiting:
        prefix, path = waiting.pop()
        about = os.stat(path)  # noqa: PTH116 (paths stay text here: it is done at every poll)
        if (about.st_dev, about.st_ino) in seen:
            continue  # A link that leads back up.
        seen.add((about.st_dev, about.st_ino))
        with os.scandir(path) as entries:
            for entry in entries:
                try:
                    if entry.is_dir():
                        waiting.append((f"{prefix}{entry.name}/", entry.path))
                        continue
                    status = entry.stat()
                except OSError as error:
                    if error.errno in (errno.ENOENT, errno.ELOOP):
                        continue  # It went while we looked, or is a link to nothing.
                    raise
                yield f"{prefix}{entry.name}", (status.st_size, status.st_mtime_ns)
