"""What is measured of a peer: how it is installed, started and asked."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from contestants.contestant import Exchange
from paths import BENCHMARKS, WORK


@dataclass(frozen=True)
class Place:
    """Where a peer is to run: the Python of its virtual environment, the SavedModel's
    folder, the port to serve on, another free one, and a folder for what it writes."""

    python: Path
    model: Path
    port: int
    spare_port: int
    work: Path

    def program(self, name: str) -> str:
        """A command that a package put beside the environment's Python."""
        return str(self.python.parent / name)


@dataclass(frozen=True)
class Start:
    """What to run, in which folder, with what added to the environment."""

    command: list[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None


@dataclass(frozen=True)
class Peer:
    """A server that others make.

    `venv` names its environment and the folder with its requirements; `packages` are
    those whose versions are reported, its own first. `http1`: it is asked in JSON over
    HTTP/1.1, else by gRPC; `exchange.method` is then the path. `choices` say how it is
    set up and why, a sentence each.
    """

    exchange: Exchange
    venv: str
    packages: tuple[str, ...]
    start: Callable[[Place], Start]
    choices: tuple[str, ...]
    http1: bool = False

    @property
    def key(self) -> str:
        """Its name in results, messages and logs."""
        return self.exchange.key

    @property
    def work(self) -> Path:
        """A folder for what it writes."""
        return WORK / "peers" / self.key


def folder(name: str) -> Path:
    """Where a peer's requirements and server program are."""
    return BENCHMARKS / "peers" / name
