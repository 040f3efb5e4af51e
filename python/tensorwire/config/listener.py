"""The settings of where and how requests come in."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, ClassVar

from tensorwire.errors import ConfigError

from . import values
from .network import ConnectionsConfig, TlsConfig
from .setting import branch, setting

_threads = values.whole_number(values.MAX_THREADS)


@dataclass(frozen=True)
class ListenerConfig:
    """Where and how requests come in."""

    HEADING: ClassVar[str] = "Network"

    host: str = setting(
        "127.0.0.1",
        values.host,
        "Address to listen on; 0.0.0.0 or :: offers the server to every network.",
    )
    port: int | None = setting(
        50051,
        values.switchable_port,
        "Port to listen on, for gRPC and REST; 0: any free one; off: none.",
    )
    rest_port: int | None = setting(
        None,
        values.switchable_port,
        "A further port for REST alone; 0: any free one.",
        shown="none",
    )
    unix_socket: str | None = setting(
        None,
        values.optional(values.socket_path),
        "Unix socket to listen on too: a file, which is made and removed, or @NAME in "
        "Linux's abstract namespace.",
    )
    io_threads: int = setting(
        0, _threads, "Threads that read and write the network; 0: one a core."
    )
    max_message_size: int = setting(
        values.MAX_MESSAGE_BYTES,
        values.message_size,
        "Largest request taken, such as 64MiB.",
        shown="2GiB - 1",
    )
    tensor_content: bool = setting(
        False,
        values.flag,
        "Answer tensors as raw bytes even where the call did not ask for it: cheaper, "
        "but clients that read float_val and the like find it empty.",
    )
    default_model: str | None = setting(
        None,
        values.optional_text,
        "Model for text requests that name none, where several are served.",
    )
    monitoring_path: str | None = setting(
        "/monitoring/prometheus/metrics",
        values.page_path,
        "Path of the page with metrics under TensorFlow Serving's names, beside /metrics; off: "
        "none.",
    )
    rest_timeout: float | None = setting(
        30.0,
        values.time_limit,
        "Time that a REST request may take once its body is there; none: any time.",
        shown="30s",
    )
    cors: bool = setting(
        False,
        values.flag,
        "Let scripts of any web page call the REST API.",
    )
    remote_control: bool | None = setting(
        None,
        values.optional(values.flag),
        "Let callers add, remove and reload models over the network: on or off.",
        shown="on where only this machine is listened to",
    )

    rest_host: str | None = None
    """Where `rest_port` is, if not at `host`."""

    rest_optional: bool = False
    """The server goes on without `rest_port` where that can't be had."""

    short_health_names: bool = False
    """Health knows services by the names that TensorFlow Serving has for them as well."""

    tls: TlsConfig = branch(TlsConfig)
    connections: ConnectionsConfig = branch(ConnectionsConfig)

    def __post_init__(self) -> None:
        if not self.kinds:
            raise ConfigError(
                "there is nothing to listen on: port is off, and neither rest_port nor "
                "unix_socket is given"
            )
        if self.port and self.port == self.rest_port:
            raise ConfigError(
                f"port and rest_port can't both be {self.port}; REST is answered on port too"
            )

    @property
    def kinds(self) -> tuple[str, ...]:
        """The settings that say where it listens, in the order the core is told them."""
        each = {
            "port": self.port,
            "rest_port": self.rest_port,
            "unix_socket": self.unix_socket,
        }
        return tuple(kind for kind, value in each.items() if value is not None)

    def host_of(self, kind: str) -> str:
        """The address that one of its TCP ports is at."""
        if kind == "rest_port" and self.rest_host is not None:
            return self.rest_host
        return self.host

    @property
    def takes_commands(self) -> bool:
        """Whether callers may change the models."""
        if self.remote_control is None:
            return self.kinds == ("unix_socket",) or values.is_loopback(self.host)
        return self.remote_control

    def _listener(self, kind: str) -> dict[str, Any]:
        tls = self.tls.to_native() if self.tls.is_on(kind) else None
        if kind == "unix_socket":
            return {"kind": "unix", "path": self.unix_socket, "tls": tls}
        port, protocols = (self.port, "all") if kind == "port" else (self.rest_port, "rest")
        place = {"kind": "tcp", "host": self.host_of(kind), "port": port}
        optional = kind == "rest_port" and self.rest_optional
        return {**place, "protocols": protocols, "tls": tls, "optional": optional}

    def to_native(self) -> str:
        """The JSON that `_core.Server` takes.

        Raises ConfigError for a TLS file that can't be read.
        """
        return json.dumps(
            {
                "listeners": [self._listener(kind) for kind in self.kinds],
                "connections": self.connections.to_native(),
                "io_threads": self.io_threads,
                "max_message_bytes": self.max_message_size,
                "tensor_content": self.tensor_content,
                "rest": {"timeout": self.rest_timeout, "cors": self.cors},
                "default_model": self.default_model,
                "monitoring_path": self.monitoring_path,
                "short_health_names": self.short_health_names,
                "control": self.takes_commands,
            }
        )
