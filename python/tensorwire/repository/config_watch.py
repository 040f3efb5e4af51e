"""Follows the files that say which models are served: looks at them again and again, and has
what they say applied when it has changed. A file that can't be read or understood changes
nothing, and is told once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from tensorwire.errors import TensorWireError

from .model_config import ModelConfig

_log = logging.getLogger("tensorwire.repository")

Read = Callable[[], Sequence[ModelConfig] | None]
"""The models that the file lists now (None: it says nothing); ConfigError if that can't be
known."""


class ConfigWatch:
    """Follows one file, in a thread of its own."""

    def __init__(
        self, read: Read, apply: Callable[[Sequence[ModelConfig]], None], interval: float
    ) -> None:
        """`interval`: seconds between looks."""
        self._read = read
        self._apply = apply
        self._interval = interval
        self._known: Sequence[ModelConfig] | None = None
        self._told: str | None = None
        self._stopping = threading.Event()

    def first(self) -> list[ModelConfig]:
        """What it lists at the start; ConfigError if that can't be known."""
        self._known = self._read()
        return list(self._known or ())

    def start(self) -> None:
        """Begins to follow it."""
        threading.Thread(target=self._work, name="tensorwire-config", daemon=True).start()

    def stop(self) -> None:
        """Ends it; nothing more is applied."""
        self._stopping.set()

    def look(self) -> None:
        """Looks once."""
        try:
            models = self._read()
            if models is None or models == self._known:
                self._told = None
                return
            self._apply(models)
        except TensorWireError as error:
            if str(error) != self._told:
                _log.error("%s; the models stay as they are", error)
            self._told = str(error)
            return
        self._known, self._told = models, None

    def _work(self) -> None:
        while not self._stopping.wait(self._interval):
            try:
                self.look()
            except Exception:  # It must look again, whatever this was.
                _log.exception("a fault of TensorWire's while the configuration was read")
