"""A process and all that came of it: processor time, stopping and going on."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class _Entry:
    parent: int
    ticks: int


def members(root: int) -> list[int]:
    """The process ids, the root's first. Whoever starts a peer adopts what outlives its
    parent (see launcher.py), so nothing gets out of the tree."""
    return list(_entries(root))


def seconds(root: int) -> float:
    """User and system time used so far, that of ended and awaited children included."""
    return sum(entry.ticks for entry in _entries(root).values()) / _TICKS_PER_SECOND


def send(pids: list[int], number: signal.Signals) -> None:
    """A signal to each that is still there."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def strays(pids: list[int], core: int) -> list[int]:
    """Those that may run on another core than this one."""
    found = []
    for pid in pids:
        try:
            if os.sched_getaffinity(pid) != {core}:
                found.append(pid)
        except ProcessLookupError:
            continue
    return found


def _entries(root: int) -> dict[int, _Entry]:
    every = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            # What follows the name in brackets: state, parent, ..., and utime, stime,
            # cutime and cstime as fields 14 to 17 of the whole line.
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks = sum(int(field) for field in fields[11:15])
        every[int(folder.name)] = _Entry(int(fields[1]), ticks)
    children: dict[int, list[int]] = {}
    for pid, entry in every.items():
        children.setdefault(entry.parent, []).append(pid)
    found, waiting = {}, [root]
    while waiting:
        pid = waiting.pop(0)
        if pid in every:
            found[pid] = every[pid]
        waiting.extend(children.get(pid, []))
    return found
