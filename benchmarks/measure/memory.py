"""What holding models takes in memory, against the bare C API with the same sessions, and
whether serving a million requests adds to it."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import model as headline
from contestants import tensorwire
from contestants.bare import Bare
from contestants.running import Running
from markdown import table
from measure import h2load
from measure.trial import target_of
from part import Bench, Found
from saved_model import SavedModel, look_into, mobilenet
from target import Target

TITLE = "Memory"
SHAPE = h2load.Shape(connections=4, streams=32)
FIRST_REQUESTS = 10_000
ALL_REQUESTS = 1_000_000
# A run of one round shows that it works; so many requests show no growth.
QUICK_REQUESTS = 50_000
KIB = 1024


@dataclass(frozen=True)
class Memory:
    """MiB: resident, and of that what is the process's own and in no file."""

    resident: float
    anonymous: float


@dataclass(frozen=True)
class Holding:
    """A number of copies of one model, held by the bare program and by a server."""

    what: str
    bare: Memory
    ours: Memory

    def ratio(self) -> float:
        """Resident memory against the bare program's."""
        return self.ours.resident / self.bare.resident


@dataclass(frozen=True)
class Samples:
    """`after`: the server's memory after so many requests."""

    holdings: list[Holding]
    after: dict[int, Memory]

    def growth(self) -> float:
        """From the first to the last count of requests; 1: none."""
        return self.after[max(self.after)].resident / self.after[min(self.after)].resident


def measure(bench: Bench) -> Found:
    """Each held by a process of its own, one after the other, on all cores."""
    network = look_into(headline.NAME, bench.model.folder, (headline.WIDTH,))
    commands: dict[str, str] = {}
    holdings = [
        _hold(bench, model, copies, commands)
        for model, copies in ((network, 1), (network, 20), (mobilenet(), 1))
    ]
    after = _serve_long(bench, ALL_REQUESTS if bench.plan.rounds > 1 else QUICK_REQUESTS)
    return Found(Samples(holdings, after), commands)


def targets(samples: Samples | None) -> Sequence[Target]:
    """A server's own memory is to be small beside TensorFlow's, and to stay."""
    held, growth = None, None
    if samples is not None:
        held = max(holding.ratio() for holding in samples.holdings)
        growth = samples.growth()
    grown = "resident memory after 1,000,000 requests, times that after 10,000"
    return [
        Target("resident memory, times the bare C API's, at worst", 1.15, False, held),
        Target(grown, 1.02, False, growth),
    ]


def describe(samples: Samples) -> str:
    """Both, and the growth."""
    rows = [
        [holding.what, _memory(holding.bare), _memory(holding.ours), f"{holding.ratio():.3f}"]
        for holding in samples.holdings
    ]
    header = ["sessions held", "bare C API: MiB (own)", "tensorwire: MiB (own)", "times"]
    grown = [[f"{count:,}", _memory(memory)] for count, memory in samples.after.items()]
    text = (
        "Resident memory (Rss of `/proc/PID/smaps_rollup`; own: Anonymous, what is in no file) "
        "once every session has run a row, of the bare program (`bare/`) and of a server, each "
        "alone on all cores with the same environment; nothing about malloc is set. Most of it is "
        "TensorFlow's library. Below, a server with the network under the headline's load: "
        f"{samples.growth():.3f} times from the first figure to the last."
    )
    later = table(["requests", "tensorwire: MiB (own)"], grown)
    return f"{text}\n\n{table(header, rows)}\n\n{later}"


def _hold(bench: Bench, model: SavedModel, copies: int, commands: dict[str, str]) -> Holding:
    what = "1 model" if copies == 1 else f"{copies} models"
    what = f"{what}, {model.name}"
    with Bare("bare-memory", model, [model.folder] * copies) as bare:
        bare_memory = resident(bare.pid)
    contestant = tensorwire.serving_copies("memory", model, copies, bench.contract)
    with Running(contestant, None) as server:
        for exchange in contestant.exchanges:
            server.verify(exchange)
        ours = resident(server.pid)
    holding = Holding(what, bare_memory, ours)
    if copies == 1:
        commands[f"start bare, {what}"] = shlex.join(bare.command)
        commands[f"start tensorwire, {what}"] = shlex.join(server.command)
    print(f"memory  {what:<24}{holding.ratio():.3f} times the bare C API's", flush=True)
    return holding


def _serve_long(bench: Bench, requests: int) -> dict[int, Memory]:
    """Memory after the first requests and after all of them."""
    contestant = tensorwire.contestant(bench.model, bench.contract)
    exchange = contestant.exchanges[0]
    after = {}
    with Running(contestant, bench.cores.server) as server:
        target = target_of(server, exchange, bench.cores.load)
        done = 0
        for goal in (FIRST_REQUESTS, requests):
            h2load.load(target, SHAPE, goal - done)
            done = goal
            after[done] = resident(server.pid)
            print(f"memory  after {done:>9,} requests  {_memory(after[done])} MiB", flush=True)
        server.verify(exchange)
    return after


def resident(pid: int) -> Memory:
    """The process's memory now."""
    sizes = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, size, _ = line.split()
        sizes[name] = int(size) / KIB
    return Memory(sizes["Rss:"], sizes["Anonymous:"])


def _memory(memory: Memory) -> str:
    return f"{memory.resident:,.1f} ({memory.anonymous:,.1f})"
