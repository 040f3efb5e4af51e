"""What a client is told when it is made, and what a call can say otherwise."""

from __future__ import annotations

import enum
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tensorwire.arguments import (
    check_count,
    check_metadata,
    check_seconds,
    check_strings,
    check_timeout,
    check_type,
)
from tensorwire.errors import ConfigError, InvalidArgumentError
from tensorwire.tensors import Strings

from .tls import Tls

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
        check_count("Retry.retries", self.retries, 2**32)
        check_seconds("Retry.initial_backoff", self.initial_backoff)
        check_seconds("Retry.max_backoff", self.max_backoff)


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
        check_seconds("Keepalive.time", self.time)
        check_seconds("Keepalive.timeout", self.timeout)
        if self.time <= 0:
            raise ConfigError(f"Keepalive.time must be more than 0 seconds; got {self.time!r}")


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
    tls: Tls | None

    def __post_init__(self) -> None:
        check_timeout(self.timeout)
        check_type("retry", self.retry, Retry, "a tensorwire.Retry, or None for no retries")
        keepalive = (Keepalive, type(None))
        check_type("keepalive", self.keepalive, keepalive, "a tensorwire.Keepalive, or None")
        check_seconds("connect_timeout", self.connect_timeout)
        check_type("wait_for_ready", self.wait_for_ready, bool, "True or False")
        check_strings(self.strings)
        tls = (Tls, type(None))
        check_type("tls", self.tls, tls, "True, False or a tensorwire.Tls, or None")
        check_count("max_message_bytes", self.max_message_bytes, 2**63)

    @property
    def target(self) -> str:
        """The addresses, as errors name them."""
        return ", ".join(self.targets)

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
                "tls": None if self.tls is None else self.tls.to_native(),
                "user_agent": "tensorwire-python",
            }
        )


def chosen_tls(tls: Tls | bool | None, targets: Sequence[str]) -> Tls | None:
    """The TLS that is meant: True is that of the system's roots, and so is None for
    addresses that begin with https://."""
    if tls is None:
        tls = any(target.startswith("https://") for target in targets)
    if isinstance(tls, bool):
        return Tls() if tls else None
    return tls


@dataclass(frozen=True, slots=True)
class CallSettings:
    """What one call says for itself; what it leaves out is the client's."""

    timeout: float | Unsettable | None = UNSET
    metadata: Metadata | None = None
    wait_for_ready: bool | Unsettable = UNSET

    def entries(self) -> tuple[tuple[str, MetadataValue], ...]:
        """The metadata's entries in order. Raises InvalidArgumentError for any of the
        settings that can't be."""
        if not isinstance(self.timeout, Unset):
            check_timeout(self.timeout, InvalidArgumentError)
        if not isinstance(self.wait_for_ready, Unset):
            wait = self.wait_for_ready
            check_type("wait_for_ready", wait, bool, "True or False", InvalidArgumentError)
        return check_metadata(self.metadata, InvalidArgumentError)


def target_addresses(target: str | Sequence[str]) -> tuple[str, ...]:
    """One address or several."""
    if isinstance(target, str):
        return (target,)
    addresses = tuple(target) if isinstance(target, Iterable) else (target,)
    for address in addresses:
        wanted = 'an address, as "localhost:50051", or a list of them'
        check_type("target", address, str, wanted)
    if not addresses:
        raise ConfigError("a client needs the address of at least one server")
    return addresses
