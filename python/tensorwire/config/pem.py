"""Certificates and keys as settings have them: a file, or the PEM text itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tensorwire.errors import ConfigError

from . import values

_BEGIN = "-----BEGIN "


@dataclass(frozen=True)
class Pem:
    """PEM text; that of a file is read when it is asked for, since files are renewed."""

    path: Path | None
    """Its file; None: it was given as text."""

    given: str = field(default="", repr=False)
    """The text that was given."""

    @classmethod
    def parse(cls, value: Any) -> Pem:
        """From a file's path, or from PEM text."""
        if isinstance(value, cls):
            return value
        if isinstance(value, bytes):
            value = value.decode("ascii", "replace")
        if isinstance(value, str) and _BEGIN in value:
            return cls(None, value)
        return cls(values.file(value))

    def to_native(self, setting: str) -> dict[str, str]:
        """As the core takes it, with the name that messages have for it.

        Raises ConfigError if the file can't be read.
        """
        if self.path is None:
            return {"text": self.given, "source": setting}
        try:
            text = self.path.read_bytes().decode("ascii", "replace")
        except OSError as error:
            raise ConfigError(f"{self.path} can't be read: {error.strerror}") from error
        return {"text": text, "source": str(self.path)}
