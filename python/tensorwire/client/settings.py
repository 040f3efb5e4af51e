"""What a client is told when it is made, and what a call can say otherwise."""

from __future__ import annotations

import enum
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tensorwire.errors import ConfigError
from tensorwire.tensors import Strings

MAX_MESSAGE_BYTES = 2**31 - 1
"""The longest message that a protobuf parser has to take."""

CONNECT_TIMEOUT_SECONDS = 10.0


class Unset(enum.Enum):
    """Says that an argument was left out, where None has a meaning of its own."""

    UNSET = enum.auto()


UNSET = Unset.UNSET
Unsettable = Literal[Unset.UNSET]

MetadataValue = str | bytes
Metadata = Mapping[str, MetadataValue] | Iterable[tuple[str, MetadataValue]]
"""What is sent along with a call; bytes are for keys that end in "-bin"."""


@dataclass(frozen=True, slots=True)
class Retry:
    """How often to try again when no server was available (UNAVAILABLE, nothing else).

    Each retry goes to the next address after a pause, which starts at `initial_backoff`
    seconds, doubles each time up to `max_backoff`, and is shortened at random by up to
    half. All of it happens within the call's timeout. `retries=0`: never.
    """

    retries: int = 3
    initial_backoff: float = 0.05
    max_backoff: float = 1.0

    def __post_init__(self) -> None:
        _check_count("Retry.retries", self.retries)
        _check_seconds("Retry.initial_backoff", self.initial_backoff)
        _check_seconds("Retry.max_backoff", self.max_backoff)


@dataclass(frozen=True, slots=True)
class Keepalive:
    """HTTP/2 pings, `time` seconds apart, while calls are under way; a connection is lost
    if a ping has no answer within `timeout` seconds.

    Servers built on gRPC's C core, TensorFlow Serving among them, hang up on clients that
    ping more often than every 300 s; TensorWire's own doesn't mind.
    """

    time: float
    timeout: float = 20.0

    def __post_init__(self) -> None:
        _check_seconds("Keepalive.time", self.time)
        _check_seconds("Keepalive.timeout", self.timeout)
        if self.time <= 0:
            raise ConfigError("Keepalive.time must be more than 0 seconds")


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """All of a client's settings; `Client` documents them."""

    targets: tuple[str, ...]
    timeout: float | None
    retry: Retry
    keepalive: Keepalive | None
    metadata: tuple[tuple[str, MetadataValue], ...]
    connect_timeout: float
    wait_for_ready: bool
    strings: Strings
    max_message_bytes: int

    def to_native(self) -> str:
        """The native channel's options."""
        return json.dumps(
            {
                "connect_timeout": self.connect_timeout,
                "keepalive_time": self.keepalive.time if self.keepalive else None,
                "keepalive_timeout": (self.keepalive or Keepalive(1)).timeout,
                "retries": self.retry.retries,
                "retry_initial_backoff": self.retry.initial_backoff,
                "retry_max_backoff": self.retry.max_backoff,
                "max_message_bytes": self.max_message_bytes,
                "user_agent": "tensorwire-python",
            }
        )


@dataclass(frozen=True, slots=True)
class CallSettings:
    """What one call says for itself; what it leaves out is the client's."""

    timeout: float | Unsettable | None = UNSET
    metadata: Metadata | None = None
    wait_for_ready: bool | Unsettable = UNSET


def metadata_entries(metadata: Metadata | None) -> tuple[tuple[str, MetadataValue], ...]:
    """Entries in order; keys may repeat."""
    if metadata is None:
        return ()
    return tuple(metadata.items() if isinstance(metadata, Mapping) else metadata)


def target_addresses(target: str | Sequence[str]) -> tuple[str, ...]:
    """One address or several."""
    addresses = (target,) if isinstance(target, str) else tuple(target)
    if not addresses:
        raise ConfigError("a client needs the address of at least one server")
    return addresses


def _check_count(name: str, value: int) -> None:
    if not isinstance(value, int) or not 0 <= value < 2**32:
        raise ConfigError(f"{name} must be a whole number, 0 or more; got {value!r}")


def _check_seconds(name: str, value: float) -> None:
    if not isinstance(value, (int, float)) or not 0 <= value < float("inf"):
        raise ConfigError(f"{name} must be a number of seconds, 0 or more; got {value!r}")
