"""`tensorwire-model-server`: TensorFlow Serving's command line, as settings of the server
that `tensorwire serve` runs. `main` is the program.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tensorwire.standard_streams import prepare_streams

_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None, program: str = "tensorwire-model-server") -> int:
    """Runs the program, which its usage text calls `program`. Its exit status: 0, 255
    for flags or a start that failed, 130 if it was interrupted while it started."""
    prepare_streams()
    try:
        from .program import run

        return run(sys.argv[1:] if arguments is None else arguments, program)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return _INTERRUPTED


__all__ = ["main"]
