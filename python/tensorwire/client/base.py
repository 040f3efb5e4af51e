"""What both clients are: settings, a native channel, and the operations over it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from tensorwire._core import Channel, NativeError, Request
from tensorwire.arguments import LONGEST_SECONDS, check_metadata
from tensorwire.errors import CallError, InvalidArgumentError, errors_about, from_native
from tensorwire.tensors import Strings, decode

from .operations import Operations
from .settings import (
    CONNECT_TIMEOUT_SECONDS,
    MAX_MESSAGE_BYTES,
    UNSET,
    ClientSettings,
    Keepalive,
    Metadata,
    MetadataValue,
    Retry,
    Unsettable,
    chosen_tls,
    target_addresses,
)
from .tls import Tls

if TYPE_CHECKING:
    import numpy as np

ShortCall: TypeAlias = "tuple[Request, float | None, Sequence[tuple[str, MetadataValue]], bool]"
"""The arguments of `Channel.call`."""

_PLAIN_NUMBERS = (float, int)
_DEFAULT_RETRY = Retry()
_NO_RETRY = Retry(retries=0)


class BaseClient:
    """Connects when first used. May be used from many threads at once, and after `fork` in
    the child too.

    `target`: the server's address, "host:port", "[IPv6 address]:port", "https://host:port",
    "unix:/path" or, for a name of Linux's abstract namespace, "unix-abstract:name"; or
    several, of servers that serve the same: calls go to each in turn, and pass over one
    that can't be reached.

    `timeout`: seconds a call may take, retries and all; None: any time. `retry`: what
    happens when no server is available; None: no retries. `wait_for_ready`: keep trying
    until the timeout instead. `connect_timeout`: seconds one attempt to connect may take.
    `keepalive`: pings that find a dead connection sooner. `metadata`: sent along with each
    call.
    `strings`: whether outputs of strings hold bytes or str. `max_message_bytes`: the
    longest request or reply. `tls`: a `Tls`, or True for one with the system's roots; None:
    only for addresses that begin with https://.

    Raises InvalidArgumentError for an address that can't be understood, ConfigError for
    other settings that can't be.
    """

    def __init__(
        self,
        target: str | Sequence[str],
        *,
        timeout: float | None = None,
        retry: Retry | None = _DEFAULT_RETRY,
        keepalive: Keepalive | None = None,
        metadata: Metadata | None = None,
        connect_timeout: float = CONNECT_TIMEOUT_SECONDS,
        wait_for_ready: bool = False,
        strings: Strings = "bytes",
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        tls: Tls | bool | None = None,
    ) -> None:
        targets = target_addresses(target)
        settings = ClientSettings(
            targets=targets,
            timeout=timeout,
            retry=_NO_RETRY if retry is None else retry,
            keepalive=keepalive,
            metadata=check_metadata(metadata),
            connect_timeout=connect_timeout,
            wait_for_ready=wait_for_ready,
            strings=strings,
            max_message_bytes=max_message_bytes,
            tls=chosen_tls(tls, targets),
        )
        self._channel = _open(settings)
        self._operations = Operations(settings)
        self._settings = settings
        self._targets = settings.targets
        self._target = settings.target

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self._targets))})"

    def _short_call(
        self, request: Request | None, timeout: float | Unsettable | None
    ) -> ShortCall | None:
        """What the core needs for a call on the short way: without the steps of
        `operations.py`, for arguments as most calls have them. None: what is not so simple,
        or wrong, goes the long way, which has the same results and makes the errors."""
        if request is None:
            return None
        if timeout is UNSET:
            timeout = self._settings.timeout
        elif timeout is not None and (
            type(timeout) not in _PLAIN_NUMBERS or not 0 <= timeout <= LONGEST_SECONDS
        ):
            return None
        return request, timeout, self._settings.metadata, self._settings.wait_for_ready

    def _short_outputs(self, reply: dict[str, Any], model: str) -> dict[str, np.ndarray[Any, Any]]:
        """The outputs, where the core leaves some of them to Python."""
        for name, output in reply.items():
            if type(output) is tuple:
                with errors_about(model, self._target):
                    reply[name] = decode(output, self._settings.strings)
        return reply

    def _short_failure(self, error: NativeError, model: str) -> CallError:
        """The exception for a call that failed on the short way."""
        failed = from_native(error, model=model)
        failed.target = failed.target or self._target
        if isinstance(failed, InvalidArgumentError):
            self._operations.forget(model)
        return failed


def _open(settings: ClientSettings) -> Channel:
    try:
        return Channel(settings.targets, settings.to_native())
    except NativeError as error:
        refused = from_native(error)
    raise refused
