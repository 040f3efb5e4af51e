"""Records in the order in which their requests came, whichever of several files they are in."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

from .logs import Recorded, first_time, read_files


def in_order(paths: Iterable[Path]) -> Iterator[Recorded]:
    """The records of these files by their times; within a file they stay in their order,
    though a request that took long stands behind those that came after it. What has no
    time comes first. A file is open only while its records are due.

    Raises what `read_files` does.
    """
    files = list(paths)
    # By time and, where that is the same, as the files were given.
    starts = ((_place(first_time(file)), number) for number, file in enumerate(files))
    waiting = deque(sorted(starts))
    under_way: list[tuple[float, int, Recorded, Iterator[Recorded]]] = []
    while waiting or under_way:
        if waiting and (not under_way or waiting[0] <= under_way[0][:2]):
            start, number = waiting.popleft()
            records = read_files([files[number]])
            if (record := next(records, None)) is not None:
                heapq.heappush(under_way, (start, number, record, records))
            continue
        now, number, record, records = under_way[0]
        yield record
        if (record := next(records, None)) is None:
            heapq.heappop(under_way)
        else:
            then = max(now, _place(record.time))
            heapq.heapreplace(under_way, (then, number, record, records))


def _place(time: float | None) -> float:
    return float("-inf") if time is None else time
