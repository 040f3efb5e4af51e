"""MobileNetV2 on all cores, 16 images at a time, against the best that the bare C API
gets out of the same machine: what serving costs beside a model that is real work."""

import os
import shlex
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from contestants import tensorwire
from contestants.bare import Bare, Way
from contestants.contestant import Exchange
from contestants.running import Running
from contract import PREDICT
from markdown import spread, table
from measure import cpu
from measure.h2load import Shape
from measure.trial import Cost, Trial, take_turns
from part import Bench, Found
from saved_model import mobilenet
from target import Target

TITLE = "A large model"
# As sixteen clients that each wait for their answer; several connections, so that all of
# the server's threads get some.
SHAPE = Shape(connections=16, streams=1)
BATCHES = (1, 2, 4, 8, 16, 32)
# The ways that go on after the first look at all of them.
FINALISTS = 3
OURS = "tensorwire-mobilenet"


@dataclass(frozen=True)
class Rate:
    """What the bare program did in one round, and its CPU time for a row."""

    rows_per_second: float
    cpu_micros: float

    def __str__(self) -> str:
        return f"{self.rows_per_second:>9,.1f} images/s  {self.cpu_micros:>9,.1f} µs CPU"


@dataclass(frozen=True)
class Samples:
    """`looked`: rows a second of the bare program, once for every way; `bare`: by round,
    for the best of them; `ours` by round; `cores`: how many all of it had."""

    cores: int
    looked: dict[str, float]
    bare: dict[str, list[Rate]]
    ours: list[Cost]

    def best(self) -> str:
        """The way with the highest median."""
        return max(self.bare, key=self.median)

    def median(self, way: str) -> float:
        """Rows a second of one way over the rounds."""
        return statistics.median(rate.rows_per_second for rate in self.bare[way])

    def ratio(self) -> float:
        """Ours against the best way's: the median of the rounds' ratios."""
        pairs = zip(self.ours, self.bare[self.best()], strict=True)
        return statistics.median(
            ours.requests_per_second / bare.rows_per_second for ours, bare in pairs
        )

    def load_share(self) -> float:
        """The part of all cores that the load took beside the server."""
        return statistics.median(cost.load_busy for cost in self.ours) / self.cores


def measure(bench: Bench) -> Found:
    """Server, load and the bare program all on all cores, the latter by itself."""
    model = mobilenet()
    cores = len(os.sched_getaffinity(0))

    def wrong(reply: bytes) -> str | None:
        return model.difference(bench.contract.row_reply(reply, model))

    request = bench.contract.row_request(model)
    exchange = Exchange(OURS, "tensorwire, MobileNetV2", PREDICT, request, wrong)
    ours = tensorwire.serving(OURS, {model.name: model.folder}, [exchange])
    with Bare("bare", model, [model.folder]) as bare, Running(ours, None) as server:
        looked = _look(bare, _ways(cores), bench.plan.load_seconds / 5)
        finalists = sorted(looked, key=looked.__getitem__, reverse=True)[:FINALISTS]
        trial = Trial(server, exchange, SHAPE, bench.plan, None)
        seconds = bench.plan.load_seconds
        lanes = {str(way): partial(_rate, bare, way, seconds) for way in finalists}
        costs, rates = _split(take_turns({OURS: trial, **lanes}, bench.plan.rounds))
    samples = Samples(cores, {str(way): rate for way, rate in looked.items()}, rates, costs)
    return Found(samples, {**trial.commands, "start bare": shlex.join(bare.command)})


def targets(samples: Samples | None) -> Sequence[Target]:
    """A twentieth is what the network, batching and the load may cost together."""
    value = None if samples is None else samples.ratio()
    text = "MobileNetV2, 16 at a time: images/s, of the best of the bare C API"
    return [Target(text, 0.95, True, value)]


def describe(samples: Samples) -> str:
    """Ours, the best ways in turn with it, and all ways as seen once."""
    images = [cost.requests_per_second for cost in samples.ours]
    micros = statistics.median(cost.cpu_micros for cost in samples.ours)
    ratio = f"{samples.ratio():.2f}"
    rows = [["tensorwire", spread(images, 1), ratio, f"{micros / 1000:.1f}"]]
    best = samples.median(samples.best())
    for way in sorted(samples.bare, key=samples.median, reverse=True):
        rates = [rate.rows_per_second for rate in samples.bare[way]]
        micros = statistics.median(rate.cpu_micros for rate in samples.bare[way])
        ratio = f"{samples.median(way) / best:.2f}"
        rows.append([f"bare: {way}", spread(rates, 1), ratio, f"{micros / 1000:.1f}"])
    share = samples.load_share()
    server = statistics.median(cost.busy for cost in samples.ours) / samples.cores
    text = (
        f"MobileNetV2 with 224x224 images and fixed random weights on {samples.cores} cores, "
        f"{SHAPE.connections} connections with one image at a time. The bare program "
        "(`bare/`) calls `TF_SessionRun` on a session of the same model and settings and does "
        "nothing else; the best of all its ways is the bound. The load shares the cores: it "
        f"took {share:.1%} of them, the server {server:.1%}. Against a bare program that "
        f"has to leave that much to a load too, the ratio is {samples.ratio() / (1 - share):.2f}."
    )
    looked = sorted(samples.looked.items(), key=lambda item: item[1], reverse=True)
    once = table(["bare, seen once", "images/s"], [[way, f"{rate:.1f}"] for way, rate in looked])
    header = ["what", "images/s, median [min .. max]", "of the best", "CPU ms/image"]
    return f"{text}\n\n{table(header, rows)}\n\n{once}"


def _ways(cores: int) -> list[Way]:
    """Each batch size, by one caller and by one for each core, in both run modes."""
    callers = (1, cores)
    return [
        Way(batch, count, pool) for batch in BATCHES for count in callers for pool in (False, True)
    ]


def _look(bare: Bare, ways: list[Way], seconds: float) -> dict[Way, float]:
    looked = {}
    for way in ways:
        looked[way] = bare.rows_per_second(way, seconds)
        print(f"bare  {way!s:<32}{looked[way]:>9,.1f} images/s", flush=True)
    return looked


def _rate(bare: Bare, way: Way, seconds: float) -> Rate:
    """The CPU time is for the rows that count; those before and after are its own pace."""
    used, started = cpu.seconds(bare.pid), time.monotonic()
    rows_per_second = bare.rows_per_second(way, seconds)
    used = (cpu.seconds(bare.pid) - used) / (time.monotonic() - started)
    return Rate(rows_per_second, used / rows_per_second * 1e6)


def _split(
    samples: Mapping[str, Sequence[Cost | Rate]],
) -> tuple[list[Cost], dict[str, list[Rate]]]:
    """The server's samples, and those of each of the bare program's ways."""
    costs = [sample for sample in samples[OURS] if isinstance(sample, Cost)]
    rates = {
        key: [sample for sample in lane if isinstance(sample, Rate)]
        for key, lane in samples.items()
        if key != OURS
    }
    return costs, rates
