"""Trials: a server under one shape of load, in turn with others."""

import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from contestants.contestant import Exchange
from contestants.running import Running
from measure import cpu, h2load
from measure.rounds import Plan

T = TypeVar("T")


@dataclass(frozen=True)
class Cost:
    """One trial in one round. `cpu_micros` is the server's for each request, `busy` the
    cores that it used while loaded, `load_busy` those that the load used."""

    requests_per_second: float
    cpu_micros: float
    busy: float
    load_busy: float

    def __str__(self) -> str:
        return f"{self.requests_per_second:>9,.0f} requests/s{self.cpu_micros:>9.1f} µs CPU"


class Trial:
    """One exchange with a running server under a load of one shape, on one core or
    (`None`) on all. Making it checks the answer and finds how many requests fill its
    time; each call measures. `opening`: what it takes to open the connections is
    counted in, as it is in requests/s anyhow."""

    def __init__(
        self,
        server: Running,
        exchange: Exchange,
        shape: h2load.Shape,
        plan: Plan,
        core: int | None,
        opening: bool = True,
    ) -> None:
        self._server = server
        self._exchange = exchange
        self._shape = shape
        self._target = target_of(server, exchange, core)
        self._at_once = shape.connections * shape.streams
        self._opening = opening
        rate = self._warm_up(4 * self._at_once, plan.warm_up_seconds / 2)
        self.requests = max(2, round(rate * plan.load_seconds / self._at_once)) * self._at_once

    @property
    def commands(self) -> dict[str, str]:
        """How to repeat it by hand."""
        line = h2load.command(self._target, self._shape, ["-n", "REQUESTS"])
        port = f":{self._server.port}/"
        return {
            f"start {self._server.contestant.key}": shlex.join(self._server.command),
            f"load {self._exchange.key}": shlex.join(line).replace(port, ":PORT/"),
        }

    def __call__(self) -> Cost:
        used, load_used = cpu.seconds(self._server.pid), cpu.children_seconds()
        started = time.monotonic()
        rate = h2load.load(self._target, self._shape, self.requests)
        elapsed = time.monotonic() - started
        load_used = cpu.children_seconds() - load_used
        used = cpu.seconds(self._server.pid) - used
        counted, apart = self.requests, 0.0
        if not self._opening:
            counted, apart = counted - self._at_once, self._opening_seconds()
        self._server.verify(self._exchange)
        micros = (used - apart) / counted * 1e6
        return Cost(rate, micros, used / elapsed, load_used / elapsed)

    def _opening_seconds(self) -> float:
        """The server's CPU time for opening the connections and one request a stream."""
        used = cpu.seconds(self._server.pid)
        h2load.load(self._target, self._shape, self._at_once)
        return cpu.seconds(self._server.pid) - used

    def _warm_up(self, requests: int, seconds: float) -> float:
        """Sends more and more until that takes so long; the last one's requests/s. By
        number: h2load's own clock can run out before a thousand connections are open,
        and it does not end then."""
        while True:
            started = time.monotonic()
            rate = h2load.load(self._target, self._shape, requests)
            if time.monotonic() - started >= seconds:
                return rate
            requests *= 4


def target_of(server: Running, exchange: Exchange, core: int | None) -> h2load.Target:
    """The exchange as h2load takes it; asks the server once, for the right reply's size."""
    exchange.write_frame()
    url = f"http://127.0.0.1:{server.port}{exchange.method}"
    size = server.verify(exchange)
    return h2load.Target(url, exchange.frame_file, size, core, exchange.http1)


def take_turns(lanes: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """Calls each so many times; each round begins with another one, so that none always
    follows the same."""
    samples: dict[str, list[T]] = {key: [] for key in lanes}
    keys: Sequence[str] = list(lanes)
    width = max(map(len, keys), default=0)
    for number in range(rounds):
        first = number % max(1, len(keys))
        for key in [*keys[first:], *keys[:first]]:
            sample = lanes[key]()
            samples[key].append(sample)
            print(f"round {number + 1} of {rounds}  {key:<{width}}  {sample!s}", flush=True)
    return samples
