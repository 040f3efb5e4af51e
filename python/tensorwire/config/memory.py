"""How much memory this process may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/")
_CONTROLLERS = {"": "memory.max", "memory": "memory/memory.limit_in_bytes"}
"""The limit's file by the controller of a line in /proc/self/cgroup: control groups of
version 2 have one hierarchy without a name, those of version 1 have one for memory."""


def memory_limit(root: Path = _ROOT) -> int:
    """Bytes: what the machine has, or less where a control group, such as a container,
    is given less. `root`: where /proc and /sys are."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([machine, *_limits(root)])


def _limits(root: Path) -> Iterator[int]:
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, group = line.split(":", 2)
        name = "memory" if "memory" in controllers.split(",") else controllers
        if name not in _CONTROLLERS:
            continue
        folder, file = Path(_CONTROLLERS[name]).parent, Path(_CONTROLLERS[name]).name
        top = root / "sys/fs/cgroup" / folder
        # Every group above it limits it as well. A container sees its own at the top.
        own = top / group.lstrip("/")
        for each in [own, *own.parents]:
            yield from _read(each / file)
            if each == top:
                break


def _read(file: Path) -> Iterator[int]:
    try:
        text = file.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return
    if text.isdecimal() and int(text) > 0:
        yield int(text)
