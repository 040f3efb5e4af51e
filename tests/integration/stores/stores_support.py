"""What the tests of stores have in common."""

import io
import random
import tarfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tensorwire.repository.source import FetchWatcher

GRAPH = b"\x08\x01"


def noise(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def a_version(weights: int = 1000, seed: int = 0) -> dict[str, bytes]:
    """The files of a SavedModel, as far as stores look at them."""
    return {
        "saved_model.pb": GRAPH,
        "variables/variables.index": b"index",
        "variables/variables.data-00000-of-00001": noise(weights, seed),
        "assets/empty.txt": b"",
    }


@dataclass
class Bucket:
    """A bucket of an S3 server, used as its owner does."""

    client: Any
    name: str

    @property
    def url(self) -> str:
        return f"s3://{self.name}"

    def put(self, key: str, content: bytes, **options: str) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=content, **options)

    def put_version(self, folder: str, files: dict[str, bytes]) -> None:
        for name, content in files.items():
            self.put(f"{folder}/{name}", content)


@dataclass
class Watched:
    """A watcher that remembers what it was told."""

    told: list[tuple[int, int | None]] = field(default_factory=list)
    cancelled: threading.Event = field(default_factory=threading.Event)

    @property
    def watcher(self) -> FetchWatcher:
        return FetchWatcher(lambda done, total: self.told.append((done, total)), self.cancelled)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def tar(files: dict[str, bytes], mode: str = "w:gz") -> bytes:
    """A tar file of them; `mode` as of tarfile."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return made.getvalue()
