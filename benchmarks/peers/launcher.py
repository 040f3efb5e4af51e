"""`launcher.py FOLDER COMMAND...`: runs it there and keeps hold of everything that it starts.

Some peers start daemons and end without them. This process adopts what loses its
parent (a Linux "subreaper"), so that all of a peer stays one tree; on SIGTERM, or when
whoever started it is gone, it ends the tree.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

# From linux/prctl.h.
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
END_SECONDS = 8.0

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from peers import tree  # noqa: E402  found by the line above


def main() -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getppid()
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) or libc.prctl(
        PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0
    ):
        print(f"prctl failed: {os.strerror(ctypes.get_errno())}", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if os.getppid() != parent:
        return 1
    process = subprocess.Popen(sys.argv[2:], cwd=sys.argv[1])
    try:
        return _reap(process.pid)
    finally:
        # A second request to end must not cut the ending short.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _end(process.pid)


def _reap(pid: int) -> int:
    """Waits for whatever ends until that is the command itself; its exit code."""
    while True:
        ended, status = os.wait()
        if ended == pid:
            return abs(os.waitstatus_to_exitcode(status))


def _end(pid: int) -> None:
    """Asks the command to end, then takes the rest down."""
    mine = os.getpid()
    tree.send([pid], signal.SIGTERM)
    # A stopped process gets the request when it goes on.
    tree.send(tree.members(mine)[1:], signal.SIGCONT)
    deadline = time.monotonic() + END_SECONDS
    while time.monotonic() < deadline:
        if not _some_left():
            return
        time.sleep(0.05)
    tree.send(tree.members(mine)[1:], signal.SIGKILL)
    while _some_left():
        time.sleep(0.05)


def _some_left() -> bool:
    """Collects what has ended; whether there are still children."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
