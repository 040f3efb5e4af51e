"""The command line: one file a command. `main` is the program `tensorwire`."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from types import FrameType

from tensorwire.standard_streams import prepare_streams

_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program. Its exit status: 0, 1 for a failure, 2 for wrong usage, 130 if it
    was interrupted."""
    prepare_streams()
    missing = [name for name in ("click", "rich") if importlib.util.find_spec(name) is None]
    if missing:
        sys.stderr.write(
            f"tensorwire: the command line needs {' and '.join(missing)}; "
            "install it with: pip install 'tensorwire[cli]'\n"
        )
        return 1
    try:
        run = _load_program()
        return run(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return _INTERRUPTED


def _load_program() -> Callable[[Sequence[str]], int]:
    """Imports the commands. An interrupt meanwhile ends the process: as an exception it
    would come up in the midst of some module, which may turn it into another."""
    in_main = threading.current_thread() is threading.main_thread()
    ours = in_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if ours:
        signal.signal(signal.SIGINT, _end)
    try:
        from .program import run
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
    return run


def _end(_number: int, _frame: FrameType | None) -> None:
    os.write(2, b"interrupted\n")
    os._exit(_INTERRUPTED)
