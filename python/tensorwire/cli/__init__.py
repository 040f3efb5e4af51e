"""The command line: one file a command. `main` is the program `tensorwire`."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program. Its exit status: 0, 1 for a failure, 2 for wrong usage."""
    missing = [name for name in ("click", "rich") if importlib.util.find_spec(name) is None]
    if missing:
        sys.stderr.write(
            f"tensorwire: the command line needs {' and '.join(missing)}; "
            "install it with: pip install 'tensorwire[cli]'\n"
        )
        return 1
    from .program import run

    return run(sys.argv[1:] if arguments is None else arguments)
