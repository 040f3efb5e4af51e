"""One row by the REST API's JSON over HTTP/1.1, against hyper's echo of the same bytes:
what HTTP/1.1 costs here, and what JSON and the model add to it."""

import contextlib
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from contestants import floor, tensorwire
from contestants.contestant import Exchange
from contestants.running import Running
from markdown import spread, table
from measure.h2load import Shape
from measure.trial import Cost, Trial, take_turns
from model import NAME
from part import Bench, Found
from target import Target

TITLE = "REST"
# A connection has one request at a time in HTTP/1.1: 32 are as many at once.
SHAPE = Shape(connections=32, streams=1)
METHOD = f"/v1/models/{NAME}:predict"
OURS, FLOOR = "tensorwire-rest", "floor-http1"


@dataclass(frozen=True)
class Samples:
    """By contestant."""

    costs: dict[str, list[Cost]]

    def ratio(self) -> float:
        """Requests/s against the floor's: the median of the rounds' ratios."""
        pairs = zip(self.costs[OURS], self.costs[FLOOR], strict=True)
        return statistics.median(
            ours.requests_per_second / floor.requests_per_second for ours, floor in pairs
        )


def measure(bench: Bench) -> Found:
    """Server on its core, load on its own."""
    model = bench.model
    request = json.dumps({"instances": [model.row]}).encode()

    def wrong(reply: bytes) -> str | None:
        [[answer]] = json.loads(reply)["predictions"]
        return model.difference(answer)

    exchange = Exchange(OURS, "tensorwire, REST", METHOD, request, wrong, http1=True)
    contestants = [
        floor.echoing(FLOOR, "the floor, HTTP/1.1", request, METHOD, http1=True),
        tensorwire.serving(OURS, {NAME: model.folder}, [exchange]),
    ]
    trials = {}
    with contextlib.ExitStack() as stack:
        for contestant in contestants:
            server = stack.enter_context(Running(contestant, bench.cores.server))
            [asked] = contestant.exchanges
            trials[asked.key] = Trial(server, asked, SHAPE, bench.plan, bench.cores.load)
        costs = take_turns(trials, bench.plan.rounds)
    commands = {name: line for trial in trials.values() for name, line in trial.commands.items()}
    return Found(Samples(costs), commands)


def targets(samples: Samples | None) -> Sequence[Target]:
    """JSON, the engine and the model may take one and a half times what hyper takes."""
    value = None if samples is None else samples.ratio()
    text = "a row by JSON over HTTP/1.1, 32 at once: requests/s, of the floor's"
    return [Target(text, 0.4, True, value)]


def describe(samples: Samples) -> str:
    """Both, and what each request costs."""
    rows = []
    for key, title in ((FLOOR, "the floor"), (OURS, "tensorwire")):
        costs = samples.costs[key]
        micros = statistics.median(cost.cpu_micros for cost in costs)
        busy = statistics.median(cost.busy for cost in costs)
        rates = [cost.requests_per_second for cost in costs]
        rows.append([title, spread(rates), f"{micros:,.1f}", f"{busy:.0%}"])
    header = [
        "server",
        "requests/s, median [min .. max]",
        "server CPU µs/request",
        "core busy",
    ]
    text = (
        f"The headline's row as `instances`, posted to `{METHOD}`; the floor echoes the same "
        "bytes by hyper's HTTP/1.1. Server on one core, load on the other, "
        f"{SHAPE.connections} connections with a request at a time: {samples.ratio():.2f} of "
        "the floor's requests/s (median of the rounds' ratios)."
    )
    return f"{text}\n\n{table(header, rows)}"
