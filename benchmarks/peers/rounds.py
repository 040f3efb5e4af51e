"""The rounds: this server, the floor, the seed's and the peers in turn, in one run.

A peer can be a dozen processes with work of their own at any time. So those whose turn
it is not are stopped (SIGSTOP), and one that goes on is warmed up again first.
"""

import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from contestants.contestant import Exchange
from contestants.running import Running
from measure import h2load
from measure.cores import Cores
from measure.rounds import LOAD, Plan, Sample
from paths import WORK
from peers import tree
from peers.running import RunningPeer
from trouble import BenchmarkError

# HTTP/1.1 has one request under way on a connection; as many are under way at once.
LOAD_HTTP1 = h2load.Shape(LOAD.connections * LOAD.streams, 1)
ALONE = h2load.Shape(1, 1)
SETTLE_SECONDS = 30.0
SETTLE_PAUSE_SECONDS = 0.5


class Lane:
    """A server in the rounds, under the load of its protocol."""

    def __init__(self, server: Running | RunningPeer, core: int) -> None:
        self._server = server
        self.exchange: Exchange
        if isinstance(server, RunningPeer):
            self.exchange = server.peer.exchange
            self.http1 = server.peer.http1
        else:
            self.exchange = server.contestant.exchanges[0]
            self.http1 = False
        self.shape = LOAD_HTTP1 if self.http1 else LOAD
        self.target = h2load.Target(
            f"http://127.0.0.1:{server.port}{self.exchange.method}",
            self._write_request(),
            self.verify(),
            core,
            self.http1,
        )
        self._load_requests = 0
        self._latency_requests = 0

    @property
    def command(self) -> list[str]:
        """The server's."""
        return self._server.command

    @property
    def pid(self) -> int:
        """The root of its processes."""
        return self._server.pid

    def verify(self) -> int:
        """Asks once; raises where the answer is wrong; the size of a right one."""
        if isinstance(self._server, RunningPeer):
            return self._server.verify()
        return self._server.verify(self.exchange)

    def stop(self) -> None:
        """Until `go_on` it gets no processor time. A launcher is left alone: it must be
        able to end the rest."""
        tree.send(self._processes(), signal.SIGSTOP)

    def go_on(self) -> None:
        """Ends a stop, parents last: a child that lags could look dead to them."""
        tree.send(list(reversed(self._processes())), signal.SIGCONT)

    def settle(self) -> None:
        """Loads until a whole load is answered, and raises if none is in time: after its
        start or a stop a cluster has to find its parts alive first, and refuses meanwhile."""
        requests = 2 * self.shape.connections * self.shape.streams
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            try:
                h2load.load(self.target, self.shape, requests)
            except BenchmarkError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(SETTLE_PAUSE_SECONDS)
            else:
                return

    def prepare(self, plan: Plan) -> None:
        """Warms up, and finds from that how many requests fill the time."""
        at_once = self.shape.connections * self.shape.streams
        rate = self._fill(plan.warm_up_seconds, at_once)
        self._load_requests = max(1, round(rate * plan.load_seconds / at_once)) * at_once
        alone = h2load.load(self.target, ALONE, 20)
        # Beyond some thousands a median gets no better.
        self._latency_requests = min(5000, max(20, round(alone * plan.latency_seconds)))

    def measure(self) -> Sample:
        """One sample; the first part of the load only warms up again."""
        at_once = self.shape.connections * self.shape.streams
        h2load.load(self.target, self.shape, max(at_once, self._load_requests // 5))
        used = tree.seconds(self.pid)
        started = time.monotonic()
        rate = h2load.load(self.target, self.shape, self._load_requests)
        elapsed = time.monotonic() - started
        used = tree.seconds(self.pid) - used
        latency = h2load.latency(self.target, self._latency_requests, WORK / "latency.log")
        self.verify()
        return Sample(
            requests_per_second=rate,
            cpu_micros=used / self._load_requests * 1e6,
            busy=used / elapsed,
            latency_median_micros=latency.median,
            latency_p99_micros=latency.p99,
        )

    def _fill(self, seconds: float, at_once: int) -> float:
        """Loads with growing numbers until one takes long enough; requests/s. A load for
        a time would leave requests behind when it ends."""
        requests = 4 * at_once
        while True:
            rate = h2load.load(self.target, self.shape, requests)
            if requests / rate >= seconds:
                return rate
            requests = max(2 * requests, round(1.2 * rate * seconds / at_once) * at_once)

    def _processes(self) -> list[int]:
        if isinstance(self._server, RunningPeer):
            return self._server.processes()
        return [self._server.pid]

    def _write_request(self) -> Path:
        if not self.http1:
            self.exchange.write_frame()
            return self.exchange.frame_file
        file = self.exchange.frame_file
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(self.exchange.request)
        return file


@dataclass
class Outcome:
    """A lane's samples; `failed`: why there are no more of them."""

    samples: list[Sample]
    failed: str | None = None


def run(lanes: Sequence[Lane], cores: Cores, plan: Plan) -> dict[str, Outcome]:
    """By the exchange's key. A lane that fails is out, and the others go on."""
    outcomes = {lane.exchange.key: Outcome([]) for lane in lanes}
    for lane in lanes:
        lane.stop()
    for number in range(plan.rounds + 1):
        left = [lane for lane in lanes if outcomes[lane.exchange.key].failed is None]
        # Each round begins with another one, so that none always follows the same.
        first = number % max(1, len(left))
        for lane in left[first:] + left[:first]:
            outcome = outcomes[lane.exchange.key]
            lane.go_on()
            try:
                lane.settle()
                if number == 0:
                    lane.prepare(plan)
                    continue
                strays = tree.strays(tree.members(lane.pid), cores.server)
                if strays:
                    raise BenchmarkError(f"{len(strays)} of its processes left their core.")
                sample = lane.measure()
            except BenchmarkError as error:
                outcome.failed = str(error)
                print(f"{lane.exchange.key} failed: {error}", flush=True)
                continue
            finally:
                lane.stop()
            outcome.samples.append(sample)
            _say(f"round {number} of {plan.rounds}", lane.exchange.key, sample)
    return outcomes


def _say(where: str, key: str, sample: Sample) -> None:
    print(
        f"{where}  {key:<12}{sample.requests_per_second:>9,.0f} requests/s"
        f"{sample.cpu_micros:>9.1f} µs CPU{sample.latency_median_micros:>8.0f} µs alone",
        flush=True,
    )
