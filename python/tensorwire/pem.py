"""Certificates and keys as settings have them: a file, or the PEM text itself."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tensorwire.errors import ConfigError

_BEGIN = "-----BEGIN "

_LIKE_A_KEY = re.compile(r"[\r\n\ufffd]|PRIVATE KEY|^M[A-Za-z0-9+/=]{59}")
"""A key without its first line, or in another format, whose base64 begins with an M."""

PemSource = str | bytes | os.PathLike[str]
"""A file's path, or PEM text."""


class NoPemError(ValueError):
    """What is neither a file nor PEM text, and must not be repeated: it may be a key."""


@dataclass(frozen=True)
class Pem:
    """PEM text; that of a file is read when it is asked for, since files are renewed."""

    path: Path | None
    """Its file; None: it was given as text."""

    given: str = field(default="", repr=False)
    """The text that was given."""

    @classmethod
    def parse(cls, value: Any) -> Pem:
        """From a file's path, or from PEM text; ValueError for what is neither, NoPemError
        where that may be a secret."""
        if isinstance(value, cls):
            return value
        if isinstance(value, bytes):
            value = value.decode("ascii", "replace")
        if not isinstance(value, (str, os.PathLike)):
            raise ValueError("it is neither a path nor PEM text")
        if isinstance(value, str) and _BEGIN in value:
            return cls(None, value)
        return cls(_file(value))

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


def _file(value: str | os.PathLike[str]) -> Path:
    """The path of a file that is there, absolute."""
    try:
        path = Path(value).expanduser().absolute()
        if path.is_file():
            return path
        why = f"there is no file {path}"
    except (OSError, RuntimeError) as error:
        # A folder on the way that may not be entered, a name too long, a home of nobody.
        why = getattr(error, "strerror", None) or str(error)
    if isinstance(value, str) and _LIKE_A_KEY.search(value):
        raise NoPemError(
            f"it is no PEM text, which has {_BEGIN.strip()} in it, and there is no such file"
        )
    raise ValueError(why)
