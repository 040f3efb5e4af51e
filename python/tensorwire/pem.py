"""Certificates and keys as settings have them: a file, or the PEM text itself."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tensorwire.errors import ConfigError

_BEGIN = "-----BEGIN "

_LONGEST_SHOWN = 200
"""Characters; what is longer and no file is a key without its first line, and not shown."""

PemSource = str | bytes | os.PathLike[str]
"""A file's path, or PEM text."""


@dataclass(frozen=True)
class Pem:
    """PEM text; that of a file is read when it is asked for, since files are renewed."""

    path: Path | None
    """Its file; None: it was given as text."""

    given: str = field(default="", repr=False)
    """The text that was given."""

    @classmethod
    def parse(cls, value: Any) -> Pem:
        """From a file's path, or from PEM text; ValueError for what is neither."""
        if isinstance(value, cls):
            return value
        if isinstance(value, bytes):
            value = value.decode("ascii", "replace")
        if not isinstance(value, (str, os.PathLike)):
            raise ValueError("it is neither a path nor PEM text")
        if isinstance(value, str) and _BEGIN in value:
            return cls(None, value)
        path = Path(value).expanduser().absolute()
        if len(str(path)) > _LONGEST_SHOWN and not _is_file(path):
            raise ValueError("it is neither the path of a file nor PEM text")
        if not _is_file(path):
            raise ValueError(f"there is no file {path}")
        return cls(path)

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


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # A key is longer than a name may be.
        return False
