"""Where a server listens, as people and programs are told it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .config.listener import ListenerConfig

WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (recognised, not used)


@dataclass(frozen=True)
class Place:
    """One place that a server listens on."""

    kind: str
    """"port", "rest_port" or "unix_socket", by the setting it comes from."""

    address: str
    """As a client on this machine reaches it: host:port or unix:/path."""

    bound: str
    """As it listens: 0.0.0.0:port or [::]:port for every network."""

    port: int | None
    """Its TCP port; None: it is a Unix socket."""

    tls: bool
    """TLS is spoken there."""

    @property
    def protocols(self) -> str:
        """What is spoken there, for people: `gRPC and REST` or `REST with TLS`."""
        spoken = "REST" if self.kind == "rest_port" else "gRPC and REST"
        return f"{spoken} with TLS" if self.tls else spoken

    @property
    def whereabouts(self) -> str:
        """`bound` as people are told it: `0.0.0.0:50051 (every network)`."""
        return f"{self.bound} (every network)" if self.bound != self.address else self.bound


def places(config: ListenerConfig, ports: Sequence[int]) -> list[Place]:
    """The places of a configuration whose TCP listeners got these ports, in its order. One that
    got 0 could not be had, and is none."""
    return list(_places(config, iter(ports)))


def _places(config: ListenerConfig, ports: Iterator[int]) -> Iterator[Place]:
    for kind in config.kinds:
        tls = config.tls.is_on(kind)
        if kind == "unix_socket":
            address = unix_address(config.unix_socket or "")
            yield Place(kind, address, address, None, tls)
        else:
            port, host = next(ports), config.host_of(kind)
            if port == 0:
                continue
            reached = WILDCARDS.get(host, host)
            yield Place(kind, join(reached, port), join(host, port), port, tls)


def join(host: str, port: int) -> str:
    """host:port, with the brackets that an IPv6 address needs."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def unix_address(path: str) -> str:
    """A Unix socket as gRPC's clients, ours among them, name it."""
    return f"unix-abstract:{path[1:]}" if path.startswith("@") else f"unix:{path}"
