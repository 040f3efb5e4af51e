"""The measurement of client.py as a part of the whole run."""

import statistics
from collections.abc import Sequence

from markdown import spread, table
from measure import client
from measure.client import AWAITED, SERVING_AWAITED, SERVING_WAITING, WAITING, Measured
from part import Bench, Found
from target import Target

TITLE = "What a call costs its caller"


def measure(bench: Bench) -> Found:
    """A lap fills two thirds of what a load does: there are twelve clients."""
    plan = client.Plan(bench.plan.rounds, bench.plan.load_seconds * 2 / 3)
    measured = client.run(bench.model, bench.cores, plan)
    commands = {f"call {key}": line for key, line in measured.commands.items()}
    return Found(measured, commands)


def targets(samples: Measured | None) -> Sequence[Target]:
    """Against tensorflow-serving-api's stubs."""
    cost = None if samples is None else samples.cpu_ratio(WAITING, SERVING_WAITING)
    rate = None if samples is None else samples.rate_ratio(AWAITED, SERVING_AWAITED)
    grpcio = "of tensorflow-serving-api with grpcio"
    aio = f"{client.CONCURRENCY} at once: calls/s, times grpc.aio's"
    return [
        Target(f"CPU for a Client.predict call, {grpcio}", 1 / 3, False, cost),
        Target(f"AsyncClient with {aio}", 4, True, rate),
    ]


def describe(samples: Measured) -> str:
    """Every client's CPU time and calls."""
    rows = []
    for key, laps in samples.samples.items():
        micros = spread([lap.cpu_micros for lap in laps], 1)
        rate = statistics.median(lap.calls_per_second for lap in laps)
        rows.append([samples.titles[key], micros, f"{rate:,.0f}"])
    header = ["client", "its CPU µs/call, median [min .. max]", "calls/s"]
    text = (
        "Each client is a Python process on the load's core, numpy in and numpy out, in turn, "
        "against one server on its own core. CPU is the client's, all threads, user and system."
    )
    return f"{text}\n\n{table(header, rows)}"
