"""The rounds: every contestant in turn, under the same load, in one run."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from contestants.contestant import Exchange
from contestants.running import Running
from measure import cpu, h2load
from measure.cores import Cores
from paths import WORK

LOAD = h2load.Shape(connections=4, streams=32)


@dataclass(frozen=True)
class Plan:
    """How long everything takes: rounds, and seconds for each part of one."""

    rounds: int
    warm_up_seconds: float
    load_seconds: float
    latency_seconds: float


@dataclass(frozen=True)
class Sample:
    """One exchange in one round. `cpu_micros` is the server's for each request, `busy`
    the part of its core that it used while loaded (1: all of it)."""

    requests_per_second: float
    cpu_micros: float
    busy: float
    latency_median_micros: float
    latency_p99_micros: float


@dataclass(frozen=True)
class Lane:
    """An exchange with a running server, and how many requests fill its time."""

    server: Running
    exchange: Exchange
    target: h2load.Target
    load_requests: int
    latency_requests: int


def run(servers: Sequence[Running], cores: Cores, plan: Plan) -> dict[str, list[Sample]]:
    """The samples of each exchange by its key, a list entry for each round."""
    lanes = [
        _prepare(server, exchange, cores, plan)
        for server in servers
        for exchange in server.contestant.exchanges
    ]
    samples: dict[str, list[Sample]] = {lane.exchange.key: [] for lane in lanes}
    for number in range(plan.rounds):
        # Each round begins with another one, so that none always follows the same.
        first = number % max(1, len(lanes))
        for lane in lanes[first:] + lanes[:first]:
            sample = _measure(lane)
            samples[lane.exchange.key].append(sample)
            print(
                f"round {number + 1} of {plan.rounds}  {lane.exchange.key:<17}"
                f"{sample.requests_per_second:>9,.0f} requests/s"
                f"{sample.cpu_micros:>8.1f} µs CPU"
                f"{sample.latency_median_micros:>8.0f} µs alone",
                flush=True,
            )
    return samples


def _prepare(server: Running, exchange: Exchange, cores: Cores, plan: Plan) -> Lane:
    """Checks the answer, warms up, and finds from that how many requests to send."""
    exchange.write_frame()
    url = f"http://127.0.0.1:{server.port}{exchange.method}"
    target = h2load.Target(url, exchange.frame_file, server.verify(exchange), cores.load)
    rate = h2load.warm_up(target, LOAD, plan.warm_up_seconds)
    alone = h2load.warm_up(target, h2load.Shape(1, 1), plan.warm_up_seconds / 2)
    at_once = LOAD.connections * LOAD.streams
    turns = max(1, round(rate * plan.load_seconds / at_once))
    # Beyond some thousands a median gets no better.
    one_by_one = min(5000, max(20, round(alone * plan.latency_seconds)))
    return Lane(server, exchange, target, turns * at_once, one_by_one)


def _measure(lane: Lane) -> Sample:
    used = cpu.seconds(lane.server.pid)
    started = time.monotonic()
    rate = h2load.load(lane.target, LOAD, lane.load_requests)
    elapsed = time.monotonic() - started
    used = cpu.seconds(lane.server.pid) - used
    latency = h2load.latency(lane.target, lane.latency_requests, WORK / "latency.log")
    lane.server.verify(lane.exchange)
    return Sample(
        requests_per_second=rate,
        cpu_micros=used / lane.load_requests * 1e6,
        busy=used / elapsed,
        latency_median_micros=latency.median,
        latency_p99_micros=latency.p99,
    )
