"""Which core the server gets and which the load."""

import os
from dataclasses import dataclass
from pathlib import Path

from trouble import BenchmarkError


@dataclass(frozen=True)
class Cores:
    """Numbers as `taskset -c` takes them."""

    server: int
    load: int


def choose() -> Cores:
    """The first core that this process may use, and one that shares no silicon with it
    where there is one: two threads of one core would slow each other."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        raise BenchmarkError(
            "The benchmarks need two cores, one for the server and one for the load; "
            f"this process may use {len(allowed)}."
        )
    server = allowed[0]
    siblings = _siblings(server)
    others = [core for core in allowed[1:] if core not in siblings]
    return Cores(server, (others or allowed[1:])[0])


def _siblings(core: int) -> set[int]:
    """All threads of the core's silicon, from a list such as "0-1,4"."""
    file = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
    try:
        ranges = file.read_text().strip().split(",")
    except OSError:
        return {core}
    siblings = {core}
    for part in ranges:
        first, _, last = part.partition("-")
        siblings.update(range(int(first), int(last or first) + 1))
    return siblings
