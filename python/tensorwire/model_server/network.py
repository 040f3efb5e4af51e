"""The flags that say where and how the server listens."""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
from pathlib import Path
from typing import Any

from tensorwire.config import MAX_MESSAGE_BYTES
from tensorwire.pem import Pem

from .command_line import CommandLine
from .failure import StartError, invalid
from .files import named_message
from .flag import INT32

_log = logging.getLogger("tensorwire.model_server")

_TIMES = {
    "grpc.max_connection_age_ms": "max_connection_age",
    "grpc.max_connection_age_grace_ms": "max_connection_age_grace",
    "grpc.max_connection_idle_ms": "max_connection_idle",
    "grpc.keepalive_time_ms": "keepalive_time",
    "grpc.keepalive_timeout_ms": "keepalive_timeout",
}
"""gRPC's settings in milliseconds, and ours in seconds."""

_STREAMS = "grpc.max_concurrent_streams"
_RECEIVED = "grpc.max_receive_message_length"


def network_settings(line: CommandLine) -> dict[str, Any]:
    """The settings of the listeners.

    Raises StartError, or ConfigError for a file, if nothing can be served so.
    """
    port, path = line.number("port"), line.text("grpc_socket_path")
    if not port and not path:
        raise invalid(
            "At least one of server_options.grpc_port or server_options.grpc_socket_path must "
            "be set."
        )
    settings: dict[str, Any] = {"port": port or None} if "port" in line.given else {}
    if path:
        settings["unix_socket"] = path
    rest = line.number("rest_api_port")
    if rest and rest == port:
        _log.error(
            "server_options.http_port cannot be same as grpc_port: REST gets no port of its "
            "own; it is answered on port %d beside gRPC",
            port,
        )
    elif rest:
        settings["rest_port"] = rest
    return settings | _credentials(line)


def rest_host() -> str:
    """The address of REST's own port: every one, and where there is no IPv6 every IPv4 one."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::", 0))
    except OSError:
        return "0.0.0.0"  # noqa: S104 (as TensorFlow Serving does)
    return "::"


def _credentials(line: CommandLine) -> dict[str, Any]:
    if line.is_on("use_alts_credentials"):
        if line.text("ssl_config_file"):
            raise invalid("--use_alts_credentials and --ssl_config_file can't both be given")
        # Never in the clear for somebody who asked for credentials.
        raise StartError(
            "UNIMPLEMENTED",
            "--use_alts_credentials: ALTS works inside Google's network alone and is not "
            "spoken here; use TLS with --ssl_config_file",
        )
    config = named_message(line, "ssl_config_file", "SSLConfig")
    if config is None:
        return {}
    if line.number("rest_api_port"):
        _log.warning(
            "--ssl_config_file is for gRPC's listeners: port %d answers REST in the clear, as "
            "TensorFlow Serving's does; port %d answers it with TLS",
            line.number("rest_api_port"),
            line.number("port"),
        )
    settings: dict[str, Any] = {
        "tls_certificate": _pem(config, "server_cert"),
        "tls_key": _pem(config, "server_key"),
        "tls_on": ("port", "unix_socket"),
    }
    if config.client_verify:
        roots = _pem(config, "custom_ca") if config.custom_ca else _system_roots()
        settings["tls_client_ca"] = roots
    return settings


def _pem(config: Any, field: str) -> Pem:
    text = getattr(config, field)
    if "-----BEGIN " not in text:
        raise invalid(
            f"--ssl_config_file: its {field} is not PEM text; it has to hold the text itself, "
            "not a file's name"
        )
    return Pem(None, text)


def _system_roots() -> Pem:
    """What gRPC takes where a file says nothing: the machine's roots."""
    context = ssl.create_default_context()
    # Those in a folder, as Debian has them alone, it would read when it needs them.
    for file in sorted(Path(ssl.get_default_verify_paths().capath or "/nowhere").glob("*.[0-9]")):
        with contextlib.suppress(OSError):
            context.load_verify_locations(file)
    found = context.get_ca_certs(binary_form=True)
    if not found:
        raise invalid(
            "--ssl_config_file: it has client_verify without custom_ca, and this machine has "
            "no roots of its own"
        )
    return Pem(None, "".join(ssl.DER_cert_to_PEM_cert(each) for each in found))


def channel_settings(line: CommandLine) -> tuple[dict[str, Any], dict[str, Any]]:
    """What `--grpc_channel_arguments` says: values of `ConnectionsConfig`, and settings.
    Arguments that mean nothing here are told in a line each.

    Raises StartError for what is no list of arguments.
    """
    connections: dict[str, Any] = {}
    settings: dict[str, Any] = {}
    for name, value in _channel_arguments(line.text("grpc_channel_arguments")):
        if name in _TIMES:
            connections[_TIMES[name]] = _seconds(name, value)
        elif name == _STREAMS:
            connections["max_concurrent_streams"] = _count(name, value)
        elif name == _RECEIVED:
            # gRPC's -1: no limit of its own.
            unlimited = value == "-1"
            settings["max_message_size"] = MAX_MESSAGE_BYTES if unlimited else _count(name, value)
        else:
            _log.warning("--grpc_channel_arguments: %s has no effect on this server", name)
    return connections, settings


def _channel_arguments(text: str) -> list[tuple[str, str]]:
    pairs = []
    for each in filter(None, text.split(",")):
        name, equals, value = each.partition("=")
        if not name or not equals:
            raise invalid(f"--grpc_channel_arguments: {each!r} is not name=value")
        pairs.append((name.strip(), value.strip()))
    return pairs


def _count(name: str, value: str) -> int:
    if not value.isascii() or not value.isdecimal() or not 1 <= int(value) <= INT32[1]:
        raise invalid(
            f"--grpc_channel_arguments: {name} can't be {value!r}: it is not a whole number "
            f"between 1 and {INT32[1]}"
        )
    return int(value)


def _seconds(name: str, value: str) -> float | None:
    """None: gRPC's largest number, which is its word for never."""
    milliseconds = _count(name, value)
    return None if milliseconds == INT32[1] else milliseconds / 1000
