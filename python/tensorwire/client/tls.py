"""What a client's TLS is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tensorwire.errors import ConfigError
from tensorwire.pem import NoPemError, Pem, PemSource


@dataclass(frozen=True, slots=True)
class Tls:
    """Whom a client trusts, and what it proves itself with. Files hold PEM; PEM text may be
    given in their place.

        tensorwire.Client("models.example:443", tls=tensorwire.Tls(ca="ca.pem"))

    Raises ConfigError for a file that isn't there, and for a certificate without its key.
    """

    ca: PemSource | None = None
    """The roots of servers' certificates, or a server's own; None: the system's roots."""

    certificate: PemSource | None = None
    """The client's certificate, for servers that want one."""

    key: PemSource | None = None
    """The certificate's private key, unencrypted."""

    server_name: str | None = None
    """The name that the server's certificate has; None: that of its address."""

    def __post_init__(self) -> None:
        for name, given in self._pems().items():
            if given is not None:
                _pem(name, given)
        if (self.certificate is None) != (self.key is None):
            raise ConfigError("Tls.certificate and Tls.key go together: give both or neither")
        if self.server_name is not None and not (
            isinstance(self.server_name, str) and self.server_name
        ):
            raise ConfigError(f"Tls.server_name must be a host name; got {self.server_name!r}")

    def __repr__(self) -> str:
        return f"Tls(server_name={self.server_name!r})"

    def _pems(self) -> dict[str, PemSource | None]:
        return {"ca": self.ca, "certificate": self.certificate, "key": self.key}

    def to_native(self) -> dict[str, Any]:
        """As the core takes it. Raises ConfigError if a file can't be read."""
        native: dict[str, Any] = {
            name: None if given is None else _pem(name, given).to_native(f"Tls.{name}")
            for name, given in self._pems().items()
        }
        return {**native, "server_name": self.server_name}


def _pem(name: str, given: PemSource) -> Pem:
    try:
        return Pem.parse(given)
    except NoPemError as error:
        raise ConfigError(f"Tls.{name} can't be used: {error}") from None
    except ValueError as error:
        raise ConfigError(f"Tls.{name} can't be {given!r}: {error}") from None
