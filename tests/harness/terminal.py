"""Commands as a person runs them: with a terminal, or in a pipe."""

import os
import pty
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

SECONDS = 120

# Colours, cursor movements and the like.
ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|\][^\x07]*\x07)")


@dataclass(frozen=True)
class Ended:
    """What a command came to; on a terminal, `out` is all that it shows."""

    code: int
    out: str
    err: str = ""


def command_line(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "tensorwire", *arguments]


def in_pipe(*arguments: str, stdin: bytes = b"") -> Ended:
    """Runs `tensorwire` with everything redirected."""
    done = subprocess.run(
        command_line(arguments), input=stdin, capture_output=True, timeout=SECONDS, check=False
    )
    return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())


def on_terminal(*arguments: str) -> Ended:
    """Runs `tensorwire` with a terminal of 100 columns."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": "100", "TERM": "xterm-256color"}
    process = subprocess.Popen(
        command_line(arguments), stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    shown = bytearray()
    try:
        # A terminal whose last user has gone answers with an error.
        while chunk := _read(ours):
            shown += chunk
        return Ended(process.wait(SECONDS), shown.decode().replace("\r\n", "\n"))
    finally:
        process.kill()
        os.close(ours)


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:
        return b""


def plain(text: str) -> str:
    """Without what only changes how it looks."""
    return ESCAPES.sub("", text)
