"""What a connection costs: the server's CPU time for a request from one connection to a
thousand, busy and idle ones."""

import contextlib
import socket
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from contestants import floor, tensorwire
from contestants.running import Running
from markdown import table
from measure.h2load import Shape
from measure.trial import Cost, Trial, take_turns
from part import Bench, Found
from target import Target
from trouble import BenchmarkError

TITLE = "Connections"
MANY = 1000
# One request at a time on each connection: then a request is a read and a write of its
# own in every shape, and only the number of connections differs.
SINGLE = [Shape(connections, 1) for connections in (1, 10, 100, MANY)]
# The headline's shape, alone and with idle connections beside it up to a thousand.
BUSY = Shape(4, 32)
# As many under way as in BUSY, in one connection.
JOINED = Shape(1, 128)
SHAPES = [*SINGLE, JOINED, BUSY]
IDLE = "idle"
# What a client says first: HTTP/2's preface and empty settings.
GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
HEADER_BYTES = 9


@dataclass(frozen=True)
class Samples:
    """By contestant and shape, such as "tensorwire 4x32" or "floor 4x32 idle"."""

    costs: dict[str, list[Cost]]

    def micros(self, contestant: str, shape: str) -> float:
        """Server CPU for a request, the median over the rounds."""
        return statistics.median(cost.cpu_micros for cost in self.costs[f"{contestant} {shape}"])

    def growth(self, contestant: str, shape: str, bases: Sequence[str]) -> float:
        """CPU for a request in this shape, times that of the cheapest base in the same
        round; the median over the rounds."""
        rounds = zip(
            self.costs[f"{contestant} {shape}"],
            *(self.costs[f"{contestant} {base}"] for base in bases),
            strict=True,
        )
        return statistics.median(
            cost.cpu_micros / min(base.cpu_micros for base in based) for cost, *based in rounds
        )

    def busy_growth(self, contestant: str) -> float:
        """A thousand busy connections against fewer."""
        *fewer, many = SINGLE
        return self.growth(contestant, _name(many), [_name(shape) for shape in fewer])

    def own_growth(self) -> float:
        """The same for what is above the floor, by the medians."""
        *fewer, many = [
            self.micros("tensorwire", _name(shape)) - self.micros("floor", _name(shape))
            for shape in SINGLE
        ]
        return many / min(fewer)

    def idle_growth(self, contestant: str) -> float:
        """With idle connections against without."""
        return self.growth(contestant, f"{_name(BUSY)} {IDLE}", [_name(BUSY)])


def measure(bench: Bench) -> Found:
    """The headline's network and the floor, server on its core, load on its own."""
    contestants = [
        floor.contestant(bench.model, bench.contract),
        tensorwire.contestant(bench.model, bench.contract),
    ]
    trials: dict[str, Trial] = {}
    idle: dict[str, Callable[[], Cost]] = {}
    with contextlib.ExitStack() as stack:
        for contestant in contestants:
            server = stack.enter_context(Running(contestant, bench.cores.server))
            exchange = contestant.exchanges[0]
            for shape in SHAPES:
                trial = Trial(server, exchange, shape, bench.plan, bench.cores.load, False)
                trials[f"{exchange.key} {_name(shape)}"] = trial
            busy = trials[f"{exchange.key} {_name(BUSY)}"]
            idle[f"{exchange.key} {_name(BUSY)} {IDLE}"] = _BesideIdle(busy, server)
        costs = take_turns(idle | trials, bench.plan.rounds)
    return Found(Samples(costs))


def targets(samples: Samples | None) -> Sequence[Target]:
    """Both readings of "from 1 to 1,000 connections"."""
    busy = None if samples is None else samples.busy_growth("tensorwire")
    idle = None if samples is None else samples.idle_growth("tensorwire")
    return [
        Target(
            "CPU for a request, 1,000 busy connections, times that with fewer", 1.15, False, busy
        ),
        Target(
            "CPU for a request beside 996 idle connections, times that without", 1.15, False, idle
        ),
    ]


def describe(samples: Samples) -> str:
    """The floor and ours in each shape, and what is above the floor."""
    rows = []
    for shape in [*map(_name, SHAPES), f"{_name(BUSY)} {IDLE}"]:
        base, ours = samples.micros("floor", shape), samples.micros("tensorwire", shape)
        connections, _, streams = shape.partition(" ")[0].partition("x")
        title = f"{connections} of {streams}"
        if shape.endswith(IDLE):
            title += f", {MANY - BUSY.connections} idle beside"
        rows.append([title, f"{base:.1f}", f"{ours:.1f}", f"{ours - base:.1f}"])
    header = ["connections of streams", "the floor, µs", "tensorwire, µs", "above the floor, µs"]
    text = (
        "Server CPU for a request of the same network at batch 1, server on one core, load on "
        "the other. To compare numbers of connections, all else must be the same. With one "
        "request at a time on each, every request is a read and a write of its own, for one "
        "connection as for a thousand; a connection of many streams brings several requests in "
        "a read, which is cheaper for any server, as the floor shows. So the target is for a "
        "thousand such connections against the cheapest of 1, 10 and 100, and, since most "
        "connections idle, for the headline's load with idle ones beside it against without. The "
        f"floor's own figures there are {samples.busy_growth('floor'):.2f} and "
        f"{samples.idle_growth('floor'):.2f}; of what is above the floor, the first is "
        f"{samples.own_growth():.2f}. Opening the connections is not counted: the "
        "CPU time of a run with one request a stream is taken off."
    )
    return f"{text}\n\n{table(header, rows)}"


class _BesideIdle:
    """A trial while idle connections are open to the same server."""

    def __init__(self, trial: Trial, server: Running) -> None:
        self._trial = trial
        self._server = server

    def __call__(self) -> Cost:
        with _idle_connections(self._server.port, MANY - BUSY.connections):
            return self._trial()


@contextlib.contextmanager
def _idle_connections(port: int, count: int) -> Iterator[None]:
    """Connections that the server has taken, as its settings on each of them show, and
    that ask nothing."""
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), 10))
            connection.sendall(GREETING)
            if len(connection.recv(HEADER_BYTES)) < HEADER_BYTES:
                raise BenchmarkError("a server closed a connection that was to idle.")
        yield


def _name(shape: Shape) -> str:
    return f"{shape.connections}x{shape.streams}"
