"""What a loaded model costs the others: the server's CPU time for a request with one
model loaded and with two hundred."""

import contextlib
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import model as headline
from contestants import tensorwire
from contestants.running import Running
from markdown import table
from measure import cpu, h2load
from measure.trial import Cost, Trial, take_turns, target_of
from part import Bench, Found
from saved_model import look_into
from target import Target

TITLE = "Loaded models"
MANY = 200
SHAPE = h2load.Shape(connections=4, streams=32)
# In the comparison over all models each h2load asks one of them.
ALONE = h2load.Shape(connections=1, streams=1)
ONE, ONE_OF_MANY = "models-1", f"models-{MANY}"
SAME_MODEL, ALL_MODELS = f"{MANY} clients, one model", f"{MANY} clients, {MANY} models"


@dataclass(frozen=True)
class Samples:
    """By what was asked of which server; `load_seconds`: from the start of a server with
    so many models to its health."""

    costs: dict[str, list[Cost]]
    load_seconds: dict[int, float]

    def growth(self, key: str, base: str) -> float:
        """CPU for a request against another: the median of the rounds' ratios."""
        pairs = zip(self.costs[key], self.costs[base], strict=True)
        return statistics.median(cost.cpu_micros / other.cpu_micros for cost, other in pairs)


def measure(bench: Bench) -> Found:
    """The headline's network under one name and under two hundred."""
    served = look_into(headline.NAME, bench.model.folder, (headline.WIDTH,))
    servers: dict[int, Running] = {}
    seconds = {}
    with contextlib.ExitStack() as stack:
        for count, key in ((1, ONE), (MANY, ONE_OF_MANY)):
            started = time.monotonic()
            contestant = tensorwire.serving_copies(key, served, count, bench.contract)
            servers[count] = stack.enter_context(Running(contestant, bench.cores.server))
            seconds[count] = time.monotonic() - started
            print(f"{key}: healthy after {seconds[count]:.1f} s", flush=True)
        trials = {
            server.contestant.key: Trial(
                server, server.contestant.exchanges[0], SHAPE, bench.plan, bench.cores.load
            )
            for server in servers.values()
        }
        many = servers[MANY]
        first, *_ = targets_of = [
            target_of(many, exchange, bench.cores.load) for exchange in many.contestant.exchanges
        ]
        requests = max(1, trials[ONE_OF_MANY].requests // MANY // 2)
        crowds: dict[str, Callable[[], Cost]] = {
            SAME_MODEL: _Crowd(many, [first] * MANY, requests),
            ALL_MODELS: _Crowd(many, targets_of, requests),
        }
        costs = take_turns(crowds | trials, bench.plan.rounds)
    return Found(Samples(costs, seconds), trials[ONE].commands)


def targets(samples: Samples | None) -> Sequence[Target]:
    """Models that are not asked must cost nothing."""
    value = None if samples is None else samples.growth(ONE_OF_MANY, ONE)
    text = f"CPU for a request with {MANY} models loaded, times that with 1"
    return [Target(text, 1.15, False, value)]


def describe(samples: Samples) -> str:
    """One model asked, then all of them."""
    titles = {
        ONE: f"1 loaded; {SHAPE.connections} connections of {SHAPE.streams} ask it",
        ONE_OF_MANY: f"{MANY} loaded; {SHAPE.connections} connections of {SHAPE.streams} ask one",
        SAME_MODEL: f"{MANY} loaded; {MANY} clients with a request at a time ask one",
        ALL_MODELS: f"{MANY} loaded; {MANY} clients with a request at a time ask one each",
    }
    rows = []
    for key, title in titles.items():
        micros = [cost.cpu_micros for cost in samples.costs[key]]
        middle = statistics.median(micros)
        rows.append([title, f"{middle:.1f} [{min(micros):.1f} .. {max(micros):.1f}]"])
    text = (
        f"The same network under {MANY} names. The target is for requests to one of them, "
        "against a server that has no other. Below that as many clients ask all of them, against "
        f"as many that ask one: {samples.growth(ALL_MODELS, SAME_MODEL):.2f} times the CPU; "
        "requests to different models can't share a run, so batching alone makes a difference "
        f"there. {MANY} models were loaded and healthy {samples.load_seconds[MANY]:.1f} s after "
        f"the start on one core, one after {samples.load_seconds[1]:.1f} s."
    )
    return f"{text}\n\n{table(['models', 'server CPU µs/request, median [min .. max]'], rows)}"


class _Crowd:
    """A trial with an h2load for each of the targets, all on the load's core."""

    def __init__(self, server: Running, targets: Sequence[h2load.Target], requests: int) -> None:
        self._server = server
        self._targets = targets
        self._requests = requests

    def __call__(self) -> Cost:
        used, load_used = cpu.seconds(self._server.pid), cpu.children_seconds()
        started = time.monotonic()
        h2load.load_side_by_side(self._targets, ALONE, self._requests)
        elapsed = time.monotonic() - started
        load_used = cpu.children_seconds() - load_used
        used = cpu.seconds(self._server.pid) - used
        total = self._requests * len(self._targets)
        return Cost(total / elapsed, used / total * 1e6, used / elapsed, load_used / elapsed)
