"""The files that flags name: found, and read as the messages they hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tensorwire.config.text_proto import read_text_proto
from tensorwire.messages import new_message

from .command_line import CommandLine
from .failure import StartError


def named_file(line: CommandLine, flag: str) -> Path | None:
    """The file that a flag names; None: it names none.

    Raises StartError if it is not there.
    """
    text = line.text(flag)
    if not text:
        return None
    path = Path(text).absolute()
    if not path.is_file():
        raise StartError("NOT_FOUND", f"{text}; No such file or directory (--{flag})")
    return path


def named_message(line: CommandLine, flag: str, kind: str) -> Any:
    """What the file that a flag names holds, a `tensorflow.serving` message of this kind in
    text format; None: it names none.

    Raises StartError if it is not there, ConfigError if it holds something else.
    """
    path = named_file(line, flag)
    return (
        None if path is None else read_text_proto(path, new_message(f"tensorflow.serving.{kind}"))
    )
