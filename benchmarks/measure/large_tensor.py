"""One MiB of float there and back, by an identity model, against the floor's echo of the
same bytes: what each byte costs, where a request's own cost no longer counts."""

import contextlib
import statistics
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import model as headline
from contestants import floor, tensorwire
from contestants.contestant import Exchange
from contestants.running import Running
from contract import PREDICT
from markdown import spread, table
from measure.h2load import Shape
from measure.trial import Cost, Trial, take_turns
from part import Bench, Found
from saved_model import SavedModel, fixed_row
from target import Target

TITLE = "A tensor of 1 MiB"
FLOATS = 2**18
# Enough to keep a core busy, few enough that what is under way stays in its cache.
SHAPE = Shape(connections=4, streams=1)
NAME = "identity_float"
OURS, FLOOR = "tensorwire-1mib", "floor-1mib"


@dataclass(frozen=True)
class Samples:
    """By contestant; `tensor_bytes` go each way in a request."""

    tensor_bytes: int
    costs: dict[str, list[Cost]]

    def ratio(self) -> float:
        """Bytes/s against the floor's: the median of the rounds' ratios."""
        pairs = zip(self.costs[OURS], self.costs[FLOOR], strict=True)
        return statistics.median(
            ours.requests_per_second / floor.requests_per_second for ours, floor in pairs
        )


def measure(bench: Bench) -> Found:
    """Server on its core, load on its own."""
    built = headline.models_folder()
    row = fixed_row((FLOATS,))
    served = SavedModel(NAME, built / NAME / "1", (FLOATS,), row, row, "x", "y")
    request = bench.contract.row_request(served)

    def wrong(reply: bytes) -> str | None:
        same = array("f", bench.contract.row_reply(reply, served)) == row
        return None if same else "the tensor is not what was sent"

    exchange = Exchange(OURS, "tensorwire, 1 MiB", PREDICT, request, wrong)
    ours = tensorwire.serving(OURS, {NAME: served.folder}, [exchange], "--tensor-content")
    contestants = [floor.echoing(FLOOR, "the floor, 1 MiB", request), ours]
    trials = {}
    with contextlib.ExitStack() as stack:
        for contestant in contestants:
            server = stack.enter_context(Running(contestant, bench.cores.server))
            [asked] = contestant.exchanges
            trials[asked.key] = Trial(server, asked, SHAPE, bench.plan, bench.cores.load)
        costs = take_turns(trials, bench.plan.rounds)
    commands = {name: line for trial in trials.values() for name, line in trial.commands.items()}
    return Found(Samples(4 * FLOATS, costs), commands)


def targets(samples: Samples | None) -> Sequence[Target]:
    """Half of what hyper alone can do."""
    value = None if samples is None else samples.ratio()
    return [Target("1 MiB of float there and back: bytes/s, of the floor's", 0.5, True, value)]


def describe(samples: Samples) -> str:
    """Both in MiB of tensor a second, each way."""
    rows = []
    for key, title in ((FLOOR, "the floor"), (OURS, "tensorwire")):
        costs = samples.costs[key]
        mib = [cost.requests_per_second * samples.tensor_bytes / 2**20 for cost in costs]
        micros = statistics.median(cost.cpu_micros for cost in costs)
        busy = statistics.median(cost.busy for cost in costs)
        rows.append([title, spread(mib), f"{micros:,.0f}", f"{busy:.0%}"])
    header = [
        "server",
        "MiB/s each way, median [min .. max]",
        "server CPU µs/request",
        "core busy",
    ]
    text = (
        "An identity model is sent 262,144 floats as `tensor_content` and answers so "
        "(`--tensor-content`); the floor echoes the same bytes. Server on one core, load on the "
        f"other, {SHAPE.connections} connections of {SHAPE.streams} stream: "
        f"{samples.ratio():.2f} of the floor's bytes/s (median of the rounds' ratios)."
    )
    return f"{text}\n\n{table(header, rows)}"
