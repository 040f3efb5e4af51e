"""What every client program is around its calls: it reads a number of calls from its input,
makes them, and writes what they took as a line of JSON, until its input ends."""

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Task:
    """Who is asked what. `array` is the float32 input named `input_name`; `output_name`
    names the output that is looked at."""

    address: str
    model: str
    input_name: str
    output_name: str
    array: np.ndarray
    concurrency: int


def task() -> Task:
    """What the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("model")
    parser.add_argument("input_name")
    parser.add_argument("output_name")
    parser.add_argument("array", help="a .npy file")
    parser.add_argument("--concurrency", type=int, default=1)
    given = vars(parser.parse_args())
    return Task(**{**given, "array": np.load(given["array"])})


def asked() -> Iterator[int]:
    """The number of calls of each lap; the first line of output says that it can begin."""
    print("ready", flush=True)
    for line in sys.stdin:
        yield int(line)


class Lap:
    """Clock and processor time, of all threads, around one lap."""

    def __init__(self, calls: int) -> None:
        self._calls = calls
        self._cpu = _cpu_seconds()
        self._started = time.perf_counter()

    def end(self, output: np.ndarray) -> None:
        """Writes the lap down, with what the last call answered."""
        seconds = time.perf_counter() - self._started
        told = {
            "calls": self._calls,
            "seconds": seconds,
            "cpu_seconds": _cpu_seconds() - self._cpu,
            "answer": float(output.reshape(-1)[0]),
            "elements": int(output.size),
        }
        print(json.dumps(told), flush=True)


def run_waiting(call: Callable[[], np.ndarray]) -> None:
    """Laps of a client that waits for each answer."""
    for calls in asked():
        lap = Lap(calls)
        for _ in range(calls):
            output = call()
        lap.end(output)


def share(calls: int, concurrency: int) -> list[int]:
    """The calls of each of the tasks that make them at once."""
    each, more = divmod(calls, concurrency)
    return [each + (index < more) for index in range(concurrency)]


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
