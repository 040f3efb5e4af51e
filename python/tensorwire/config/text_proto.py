"""Reading files in protobuf's text format, with errors that name the file and the line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tensorwire.errors import ConfigError

MAX_FILE_BYTES = 16 * 2**20
"""A list of 100,000 models is smaller; a model given by mistake is refused at once."""


def read_bytes(path: Path) -> bytes:
    """A configuration file's content; ConfigError if it can't be one."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror}") from error
    if len(content) > MAX_FILE_BYTES:
        raise ConfigError(f"{path} is larger than a configuration may be, {MAX_FILE_BYTES} bytes")
    return content


def read_text_proto(path: Path, message: Any) -> Any:
    """The message, with what the file says.

    Raises ConfigError if the file can't be read or is not this message's text format.
    """
    return parse_text_proto(path, read_bytes(path), message)


def parse_text_proto(path: Path, content: bytes, message: Any) -> Any:
    """The same of a file that was read."""
    from google.protobuf import text_format

    try:
        return text_format.Parse(content.decode(), message)
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path} is not in protobuf's text format: byte {error.start} is not text"
        ) from None
    except text_format.ParseError as error:
        raise ConfigError(parse_failure(path, error)) from None


def parse_failure(path: Path | str, error: Any) -> str:
    """What is wrong with a file, from text_format's own error."""
    line, reason = error.GetLine(), str(error)
    if line is None:
        return f"{path}: {reason}"
    # The text starts with line:column, which is said better.
    return f"{path}, line {line}: {_without_content(reason.partition(' : ')[2] or reason)}"


def _without_content(reason: str) -> str:
    """Without the whole line, or string, that protobuf shows: it may be a private key."""
    reason = re.sub(r"^'.*': ", "", reason, flags=re.DOTALL)
    return re.sub(r"(missing ending quote): .*", r"\1", reason, flags=re.DOTALL)
