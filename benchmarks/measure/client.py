"""What a prediction costs its caller: this client and the one people use today, each in a
process of its own on the load's core, in turn, against one server on another core.

`python -m measure.client [--quick] [--only KEY]` in benchmarks/ prints the table alone.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import model
from contestants.contestant import Contestant
from contestants.running import START_SECONDS, Running
from measure import cores
from measure.cores import Cores
from measure.lane import Lane, Program
from model import INPUT, OUTPUT, Model
from paths import BENCHMARKS, WORK
from trouble import BenchmarkError

CONCURRENCY = 64
LARGE_ELEMENTS = 1 << 18
PROGRAMS = BENCHMARKS / "contestants" / "clients"
BARE = {"BARE": "1"}


@dataclass(frozen=True)
class Plan:
    """Rounds, and about how long one lap of a client takes in each."""

    rounds: int
    lap_seconds: float


@dataclass(frozen=True)
class Sample:
    """One client in one round: processor time of its process, user and system, all
    threads, for each call; and calls/s."""

    cpu_micros: float
    calls_per_second: float


@dataclass(frozen=True)
class Measured:
    """All rounds. `titles`, `commands` and `samples` by the client's key; one sample for
    each round, so that those with the same place share the machine's mood."""

    titles: dict[str, str]
    commands: dict[str, str]
    samples: dict[str, list[Sample]] = field(default_factory=dict)

    def cpu_ratio(self, key: str, base: str) -> float | None:
        """CPU for a call against another client's: the median of the rounds' ratios.
        `None`: not both were measured."""
        return self._ratio(key, base, "cpu_micros")

    def rate_ratio(self, key: str, base: str) -> float | None:
        """Calls/s against another client's, in the same way."""
        return self._ratio(key, base, "calls_per_second")

    def _ratio(self, key: str, base: str, figure: str) -> float | None:
        pairs = zip(self.samples.get(key, []), self.samples.get(base, []), strict=False)
        ratios = [getattr(one, figure) / getattr(other, figure) for one, other in pairs]
        return statistics.median(ratios) if ratios else None


FULL = Plan(rounds=5, lap_seconds=2.0)
QUICK = Plan(rounds=1, lap_seconds=0.3)

# The keys that the targets are about.
WAITING, AWAITED = "client-waiting", "client-awaited"
SERVING_WAITING, SERVING_AWAITED = "serving-waiting", "serving-awaited"


def programs(large: bool) -> list[Program]:
    """All clients, for the small request or for the large one."""
    at_once, suffix = (8, "-1mib") if large else (CONCURRENCY, "")
    waiting, awaited = "waits for each answer", f"{at_once} calls at once"
    grpcio, aio = "tensorflow-serving-api, grpcio", "tensorflow-serving-api, grpc.aio"
    without = "without TensorFlow's helpers"
    each = [
        Program(WAITING, f"tensorwire.Client, {waiting}", "tensorwire_waiting.py"),
        Program(SERVING_WAITING, f"{grpcio}, {waiting}", "serving_waiting.py"),
        Program(
            "bare-waiting", f"{grpcio} {without}, {waiting}", "serving_waiting.py", variant=BARE
        ),
        Program(AWAITED, f"tensorwire.AsyncClient, {awaited}", "tensorwire_awaited.py", at_once),
        Program(SERVING_AWAITED, f"{aio}, {awaited}", "serving_awaited.py", at_once),
        Program(
            "bare-awaited", f"{aio} {without}, {awaited}", "serving_awaited.py", at_once, BARE
        ),
    ]
    size = "1 MiB in and out: " if large else ""
    return [one.renamed(one.key + suffix, size + one.title) for one in each]


def run(served: Model, pinned: Cores, plan: Plan, only: Sequence[str] = ()) -> Measured:
    """Every client in turn, once a round; `only` names some by their keys."""
    small = _saved("client-small", np.array([served.row], np.float32))
    large = _saved("client-large", np.arange(LARGE_ELEMENTS, dtype=np.float32) / 16)
    asked = [(one, model.NAME, small, served.expected) for one in programs(large=False)]
    asked += [(one, "identity", large, 0.0) for one in programs(large=True)]
    with ExitStack() as stack:
        server = stack.enter_context(Running(_server(served), pinned.server))
        lanes = []
        for program, name, array, expected in asked:
            if only and program.key not in only:
                continue
            command = [sys.executable, str(PROGRAMS / program.script)]
            command += [f"127.0.0.1:{server.port}", name, INPUT, OUTPUT, str(array)]
            command += ["--concurrency", str(program.concurrency)]
            lane = Lane(program, command, pinned.load, expected)
            lanes.append(stack.enter_context(lane))
            # One after the other: most of them import TensorFlow first.
            lane.warm_up(plan.lap_seconds, START_SECONDS)
        measured = Measured(
            {lane.program.key: lane.program.title for lane in lanes},
            {lane.program.key: lane.command_line for lane in lanes},
            {lane.program.key: [] for lane in lanes},
        )
        for number in range(plan.rounds):
            first = number % max(1, len(lanes))
            for lane in lanes[first:] + lanes[:first]:
                measured.samples[lane.program.key].append(_sample(lane, number, plan))
    return measured


def _sample(lane: Lane, number: int, plan: Plan) -> Sample:
    lap = lane.lap()
    sample = Sample(lap.cpu_seconds / lap.calls * 1e6, lap.calls / lap.seconds)
    print(
        f"round {number + 1} of {plan.rounds}  {lane.program.key:<22}"
        f"{sample.cpu_micros:>9.1f} µs CPU/call{sample.calls_per_second:>9,.0f} calls/s",
        flush=True,
    )
    return sample


def _server(served: Model) -> Contestant:
    """One server with both models."""
    ready_file = WORK / "client-server.ready"
    identity = served.folder.parent.parent / "identity_float"
    command = [sys.executable, "-m", "tensorwire", "serve", "--port", "0"]
    command += ["--model", f"{model.NAME}={served.folder}", "--model", f"identity={identity}"]
    command += ["--ready-file", str(ready_file)]
    return Contestant("client-server", command, [], ready_file=ready_file, health=True)


def _saved(name: str, array: np.ndarray) -> Path:
    file = WORK / f"{name}.npy"
    np.save(file, array)
    return file


def table(measured: Measured) -> str:
    """Lines for a terminal: medians, with the smallest and the largest in brackets."""
    lines = []
    for key, samples in measured.samples.items():
        cpu = [sample.cpu_micros for sample in samples]
        rates = [sample.calls_per_second for sample in samples]
        lines.append(
            f"{key:<22}{_spread(cpu, '9,.1f')} µs CPU/call  {_spread(rates, '9,.0f')} calls/s"
        )
    for suffix in ("", "-1mib"):
        for ours, theirs in ((WAITING, SERVING_WAITING), (AWAITED, SERVING_AWAITED)):
            cpu_ratio = measured.cpu_ratio(ours + suffix, theirs + suffix)
            rate_ratio = measured.rate_ratio(ours + suffix, theirs + suffix)
            if cpu_ratio is not None and rate_ratio is not None:
                named = f"{ours + suffix} against {theirs + suffix}"
                lines.append(
                    f"{named}: {cpu_ratio:.3f} of its CPU, {rate_ratio:.2f} x its calls/s"
                )
    return "\n".join(lines)


def _spread(figures: list[float], form: str) -> str:
    middle = statistics.median(figures)
    return f"{middle:{form}} [{min(figures):{form}} .. {max(figures):{form}}]"


def main() -> int:
    """Prints the table; with `--json` every sample too."""
    parser = argparse.ArgumentParser(description="What a prediction costs its caller.")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", action="append", default=[])
    wanted = parser.parse_args()
    WORK.mkdir(exist_ok=True)
    plan = QUICK if wanted.quick else FULL
    try:
        measured = run(model.prepare(), cores.choose(), plan, wanted.only)
    except BenchmarkError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print(table(measured))
    samples = {key: [vars(one) for one in them] for key, them in measured.samples.items()}
    (WORK / "client.json").write_text(json.dumps(samples, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
