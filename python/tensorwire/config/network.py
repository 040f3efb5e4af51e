"""The parts of the network's settings: TLS, and how connections are kept and ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from tensorwire.errors import ConfigError
from tensorwire.pem import Pem

from . import values
from .open_files import connection_limit
from .setting import setting

TLS_PLACES = ("port", "rest_port", "unix_socket")


def _places(value: Any) -> tuple[str, ...]:
    one = values.one_of(*TLS_PLACES)
    return tuple(one(each) for each in values.listed(value, ","))


@dataclass(frozen=True)
class TlsConfig:
    """What the server proves itself with, and whether clients have to as well."""

    HEADING: ClassVar[str] = "TLS"

    tls_certificate: Pem | None = setting(
        None,
        values.optional(Pem.parse),
        "PEM file with the server's certificate, and those between it and its root: switches "
        "TLS on. Files that are renewed are taken up while it serves.",
    )
    tls_key: Pem | None = setting(
        None, values.optional(Pem.parse), "PEM file with the certificate's private key."
    )
    tls_client_ca: Pem | None = setting(
        None,
        values.optional(Pem.parse),
        "PEM file with the roots of clients' certificates; clients without one are refused.",
    )
    tls_on: tuple[str, ...] = setting(
        ("port", "rest_port"),
        _places,
        f"Where TLS is spoken: {', '.join(TLS_PLACES)}.",
        shown="port,rest_port",
    )

    def __post_init__(self) -> None:
        if (self.tls_certificate is None) != (self.tls_key is None):
            given, missing = "tls_certificate", "tls_key"
            if self.tls_certificate is None:
                given, missing = missing, given
            raise ConfigError(f"{given} is given without {missing}; TLS needs both")
        if self.tls_client_ca is not None and self.tls_certificate is None:
            raise ConfigError("tls_client_ca is given without tls_certificate and tls_key")

    @property
    def pems(self) -> tuple[Pem, ...]:
        """All that is given."""
        each = (self.tls_certificate, self.tls_key, self.tls_client_ca)
        return tuple(pem for pem in each if pem is not None)

    def is_on(self, place: str) -> bool:
        """Whether TLS is spoken at one of `TLS_PLACES`."""
        return self.tls_certificate is not None and place in self.tls_on

    def to_native(self) -> dict[str, Any] | None:
        """A listener's TLS as the core takes it; None: it has none.

        Raises ConfigError for a file that can't be read.
        """
        if self.tls_certificate is None or self.tls_key is None:
            return None
        ca = self.tls_client_ca
        return {
            "certificate": self.tls_certificate.to_native("tls_certificate"),
            "key": self.tls_key.to_native("tls_key"),
            "client_ca": None if ca is None else ca.to_native("tls_client_ca"),
            "require_client": ca is not None,
        }


@dataclass(frozen=True)
class ConnectionsConfig:
    """How many connections there may be and how long each lives. What is no setting has
    the value that gRPC's own servers have, and is there for configurations made from
    theirs."""

    HEADING: ClassVar[str] = "Connections"

    max_connections: int = setting(
        connection_limit,
        values.whole_number(values.MAX_COUNT),
        "Most connections at once; over it new ones are closed at once. 0: no limit.",
        shown="what the limit of open files leaves room for",
    )
    max_connection_age: float | None = setting(
        None,
        values.time_limit,
        "Time, more or less a tenth, after which clients are asked to connect anew, such as "
        "10m: so that they find servers added since.",
        shown="none",
    )
    keepalive_time: float | None = setting(
        7200.0,
        values.time_limit,
        "Time between HTTP/2 pings, which find clients that are gone, such as 1m; none: no pings.",
        shown="2h",
    )
    max_connection_age_grace: float | None = None
    """Seconds that requests may still take then; None: any time."""

    max_connection_idle: float | None = None
    """Seconds without a request after which a connection ends; None: never."""

    keepalive_timeout: float | None = 20.0
    """Seconds that a client may be silent after a ping; None: any time."""

    max_concurrent_streams: int = 1024
    """Requests that a client may have open at once on a connection; it waits with further
    ones. A multiple of what gRPC clients use."""

    def to_native(self) -> dict[str, Any]:
        """As the core takes it."""
        return {
            "max_connections": self.max_connections,
            "max_concurrent_streams": self.max_concurrent_streams,
            "max_connection_age": self.max_connection_age,
            "max_connection_age_grace": self.max_connection_age_grace,
            "max_connection_idle": self.max_connection_idle,
            "keepalive_time": self.keepalive_time,
            "keepalive_timeout": self.keepalive_timeout,
        }
