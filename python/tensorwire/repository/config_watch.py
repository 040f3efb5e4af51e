"""Follows the files that say which models are served: looks at them again and again, and has
what they say applied when it has changed. A file that can't be read or understood changes
nothing, and is told once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tensorwire.config.text_proto import read_bytes
from tensorwire.errors import TensorWireError

from .look_schedule import SETTLE_SECONDS
from .model_config import ModelConfig

_log = logging.getLogger("tensorwire.repository")


@dataclass(frozen=True)
class ModelsFile:
    """A file that lists models."""

    path: Path

    parse: Callable[[bytes], Sequence[ModelConfig] | None]
    """The models that this content lists (None: it says nothing); ConfigError if it is not
    what it should be."""

    may_list_none: bool = False
    """It has settings as well: one that lists no model at the start is about the models that
    it may list later alone."""


class ConfigWatch:
    """Follows one file, in a thread of its own."""

    def __init__(
        self, file: ModelsFile, apply: Callable[[Sequence[ModelConfig]], None], interval: float
    ) -> None:
        """`interval`: seconds between looks."""
        self._file = file
        self._apply = apply
        self._interval = interval
        self._content: bytes | None = None
        """What was looked into last."""

        self._changing: bytes | None = None
        """What the last look saw for the first time. It is looked into if the next one sees the
        same: half of a file may well be a file, and an empty one lists no model."""

        self._known: Sequence[ModelConfig] | None = None
        self._told: str | None = None
        self._stopping = threading.Event()

    def first(self) -> list[ModelConfig]:
        """What it lists at the start; ConfigError if that can't be known."""
        self._content = read_bytes(self._file.path)
        self._known = self._file.parse(self._content)
        return list(self._known or ())

    def start(self) -> None:
        """Begins to follow it."""
        threading.Thread(target=self._work, name="tensorwire-config", daemon=True).start()

    def stop(self) -> None:
        """Ends it; nothing more is applied."""
        self._stopping.set()

    def look(self) -> bool:
        """Looks once. False: it has just changed, and is to be looked at again soon."""
        try:
            content = read_bytes(self._file.path)
            if content not in (self._content, self._changing):
                self._changing = content
                return False
            if content != self._content:
                self._content = content
                self._take(self._file.parse(content))
            self._changing = self._told = None
        except TensorWireError as error:
            if str(error) != self._told:
                _log.error("%s; the models stay as they are", error)
            self._told = str(error)
        return True

    def _take(self, models: Sequence[ModelConfig] | None) -> None:
        if models is not None and models != self._known:
            self._apply(models)
            self._known = models

    def _work(self) -> None:
        pause = self._interval
        while not self._stopping.wait(pause):
            pause = self._interval
            try:
                if not self.look():
                    pause = min(self._interval, SETTLE_SECONDS)
            except Exception:  # It must look again, whatever this was.
                _log.exception("a fault of TensorWire's while the configuration was read")
