"""Takes up certificates that are renewed on disk, while the server serves."""

from __future__ import annotations

import json
import logging
import threading

from . import _core
from .config.network import TlsConfig
from .errors import ConfigError

POLL_SECONDS = 2.0
"""Certificates are renewed days before they expire; this is for people who wait for it."""

_log = logging.getLogger("tensorwire.tls")

Stamp = tuple[int, int, int, int]
Stamps = tuple[Stamp | None, ...]


class TlsRenewal:
    """A thread that looks at the files of a server's TLS settings, if it has any, and hands
    what changed to the core. What can't be used is warned of, and not taken."""

    def __init__(self, config: TlsConfig) -> None:
        """To be made before the files are read for the listener: what changes while they are
        is a change."""
        self._config = config
        self._stopping = threading.Event()
        self._taken = self._stamps()
        self._seen = self._taken
        self._thread: threading.Thread | None = None

    def start(self, listener: _core.Server) -> None:
        """Begins to look for it; does nothing where no file is given."""
        if any(self._taken) and self._thread is None:
            self._thread = threading.Thread(
                target=self._run, args=(listener,), name="tensorwire-tls", daemon=True
            )
            self._thread.start()

    def stop(self) -> None:
        """Looks no more."""
        self._stopping.set()

    def _run(self, listener: _core.Server) -> None:
        while not self._stopping.wait(POLL_SECONDS):
            self.look(listener)

    def look(self, listener: _core.Server) -> None:
        """Takes up what has changed and is whole: the same at two looks, since certificate
        and key are not written at once."""
        stamps = self._stamps()
        settled, self._seen = stamps == self._seen, stamps
        if not settled or stamps == self._taken or not all(stamps):
            return
        self._taken = stamps
        try:
            native = self._config.to_native()
            if native is not None:
                listener.renew_tls(json.dumps(native))
        except ConfigError as error:
            _log.warning("the TLS files have changed and are not taken: %s", error)
        except _core.NativeError as error:
            _log.warning("the TLS files have changed and are not taken: %s", error.args[1])
        else:
            _log.info("new connections get the renewed TLS certificate")

    def _stamps(self) -> Stamps:
        """What changes when a file does, or who may read it; None: it is not there now."""
        stamps: list[Stamp | None] = []
        for pem in self._config.pems:
            if pem.path is None:
                continue
            try:
                stat = pem.path.stat()
            except OSError:
                stamps.append(None)
            else:
                stamps.append((stat.st_ctime_ns, stat.st_mtime_ns, stat.st_size, stat.st_ino))
        return tuple(stamps)
