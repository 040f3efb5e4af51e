"""What is measured of a server: how it is started and what it is asked."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from paths import WORK


@dataclass(frozen=True)
class Exchange:
    """One kind of request and what its reply must be.

    `key` names it in results.json, `title` in the report; `method` is the path, `request`
    the message's bytes; `wrong` says what is wrong with a reply's bytes, or `None`.
    `http1`: JSON over HTTP/1.1 and not gRPC.
    """

    key: str
    title: str
    method: str
    request: bytes
    wrong: Callable[[bytes], str | None]
    http1: bool = False

    @property
    def frame_file(self) -> Path:
        """The request as h2load posts it: the message, for gRPC after a five-byte prefix."""
        return WORK / "frames" / self.key

    def write_frame(self) -> None:
        """Prepares `frame_file`."""
        self.frame_file.parent.mkdir(parents=True, exist_ok=True)
        prefix = b"" if self.http1 else b"\0" + len(self.request).to_bytes(4, "big")
        self.frame_file.write_bytes(prefix + self.request)


@dataclass(frozen=True)
class Contestant:
    """A server to start. `ready_file` gets a JSON object with the port once it listens;
    `None`: the first line of its output is the port. `health`: it has gRPC health."""

    key: str
    command: list[str]
    exchanges: list[Exchange]
    ready_file: Path | None = None
    health: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
