"""`tensorwire bench`: how many requests a server answers, and how fast."""

from __future__ import annotations

import json
import sys
from typing import Any

import click
from rich.text import Text

from tensorwire import __version__
from tensorwire.client import Client, Tls
from tensorwire.units import parse_duration

from .bench_call import BenchCall, Choice, Inputs
from .bench_figures import Figures
from .bench_plan import MOST_DEFAULT_CONNECTIONS, Load, number_list, plan_loads
from .bench_run import Aim, run_load
from .bench_view import describe_loads, show
from .choice import (
    input_option,
    output_option,
    scale_option,
    signature_option,
    timeout_option,
    to_seconds,
    version_option,
)
from .images import Scale
from .options import HELP_SETTINGS, debug_option, tls_options
from .tables import console

ALL_FAILED = 1
SOME_FAILED = 3
_INTERRUPTED = 130
_DEFAULT_DURATION = "10s"
_MOST_CALLERS = 1_000_000
_LEAST_RATE = 0.001
_MOST_RATE = 1_000_000


def _duration(
    context: click.Context, parameter: click.Parameter, text: str | None
) -> float | None:
    if text is None:
        return None
    seconds = to_seconds(context, parameter, text)
    if seconds <= 0:
        raise click.BadParameter(f"{text!r} leaves no time to measure")
    return seconds


@click.command(context_settings=HELP_SETTINGS, short_help="Measure a server under load.")
@click.argument("target")
@click.argument("model", required=False)
@input_option(
    "An input, as tensorwire predict takes it; those that are not given are made of random "
    "numbers, or some text, as the model's signature says. All requests are the same."
)
@signature_option
@version_option
@click.option("--label", metavar="LABEL", help="The version with this label.")
@output_option
@scale_option
@click.option(
    "--batch",
    "rows",
    type=click.IntRange(min=1),
    metavar="ROWS",
    help="Rows of each request, where the first dimension is free; of given inputs, theirs "
    "over and over. Default: 1, or those given.",
)
@click.option(
    "--concurrency",
    callback=number_list(int, 1, _MOST_CALLERS),
    metavar="C,...",
    help="Closed loop: so many callers, each of which sends its next request when it has its "
    "answer. Several, as 1,4,16,64, are measured one after the other. Default: 1, which "
    "shows what a request takes when it is alone and can overload nothing.",
)
@click.option(
    "--rate",
    callback=number_list(float, _LEAST_RATE, _MOST_RATE),
    metavar="R,...",
    help="Open loop instead: requests a second, sent whether or not earlier ones were "
    "answered, as many independent users do. Latencies count from when a request was due.",
)
@click.option(
    "--arrival",
    type=click.Choice(["constant", "poisson"]),
    default="constant",
    show_default=True,
    help="How an open loop's requests are spread: at equal distances, or at random.",
)
@click.option(
    "--max-outstanding",
    type=click.IntRange(1, _MOST_CALLERS),
    default=1000,
    show_default=True,
    metavar="N",
    help="In an open loop, requests under way beyond which further ones are not sent, but "
    "counted.",
)
@click.option(
    "--duration",
    callback=_duration,
    metavar="TIME",
    help=f"How long to measure. Default: {_DEFAULT_DURATION}, or until --requests were sent.",
)
@click.option("--requests", type=click.IntRange(min=1), metavar="N", help="How many to measure.")
@click.option(
    "--warmup",
    default="1s",
    show_default=True,
    callback=to_seconds,
    metavar="TIME",
    help="The same load beforehand, which is not measured.",
)
@click.option(
    "--connections",
    type=click.IntRange(1, 10_000),
    metavar="K",
    help="Connections that the requests are spread over. Default: as many as requests can be "
    f"under way, at most {MOST_DEFAULT_CONNECTIONS}.",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="T",
    help="Threads that send, each with connections of its own: more, if one is said to have "
    "been the limit.",
)
@timeout_option
@click.option(
    "--retries",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    metavar="N",
    help="How often to try a request again that found no server: a load should see errors.",
)
@click.option(
    "--server-timings",
    is_flag=True,
    help="Ask the server how long its phases took, and show that too.",
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@tls_options
@debug_option
def bench(
    target: str,
    given: tuple[str, ...],
    scale: Scale,
    rows: int | None,
    as_json: bool,
    tls: Tls | None,
    **asked: Any,
) -> int:
    """Measure the server at TARGET, which is HOST:PORT or unix:PATH, under a load of
    requests to MODEL.

    MODEL may be left out if the server has only one. One request is sent first, to see that
    it can be answered; then the load, for which connections are made and warmed up.

    \b
    tensorwire bench localhost:50051 mnist
    tensorwire bench localhost:50051 mnist --concurrency 1,4,16,64 --batch 8
    tensorwire bench localhost:50051 mnist --rate 2000 --arrival poisson --json

    Exit status: 0 if all requests were answered, 3 if some failed, 1 if all did or the
    server could not be reached, 130 after Ctrl-C, which ends the load early and still shows
    what was measured.
    """
    choice = Choice(
        **{name: asked.pop(name) for name in ("model", "version", "label", "signature", "outputs")}
    )
    loads = _loads(**asked)
    with Client(target, timeout=loads[0].timeout, retry=None, tls=tls) as client:
        call = BenchCall.prepare(client, choice, Inputs(given, scale, rows))
    out = console()
    if not as_json:
        out.print(Text(f"{target}: {call.describe()}"), soft_wrap=True)
        out.print(Text(describe_loads(loads)), soft_wrap=True)
    runs, interrupted = _run_all(Aim(target, tls), call, loads)
    if as_json:
        asked_json = {"target": target, **call.as_json(), "asked": _asked(loads)}
        figures = {"runs": [run.as_json() for run in runs], "interrupted": interrupted}
        click.echo(json.dumps({"tensorwire": __version__, **asked_json, **figures}, indent=2))
    else:
        out.print()
        show(out, runs)
    return _INTERRUPTED if interrupted else _status(runs)


def _loads(
    concurrency: tuple[int, ...], rate: tuple[float, ...], connections: int | None, **alike: Any
) -> list[Load]:
    if alike["duration"] is None and alike["requests"] is None:
        alike["duration"] = parse_duration(_DEFAULT_DURATION)
    return plan_loads(concurrency, rate, connections, **alike)


def _run_all(aim: Aim, call: BenchCall, loads: list[Load]) -> tuple[list[Figures], bool]:
    """One after the other; an interrupt ends them all."""
    runs = []
    for load in loads:
        figures, interrupted = run_load(aim, call, load)
        runs.append(figures)
        if interrupted:
            sys.stderr.write("interrupted\n")
            return runs, True
    return runs, False


def _asked(loads: list[Load]) -> dict[str, Any]:
    """What all loads have in common, and the concurrencies or rates."""
    first = loads[0]
    several = first.concurrency is not None
    return {
        "concurrency": [load.concurrency for load in loads] if several else None,
        "rate": None if several else [load.rate for load in loads],
        "arrival": None if several else first.arrival,
        "max_outstanding": None if several else first.max_outstanding,
        "duration_s": first.duration,
        "requests": first.requests,
        "warmup_s": first.warmup,
        "timeout_s": first.timeout,
        "retries": first.retries,
        "server_timings": first.server_timings,
    }


def _status(runs: list[Figures]) -> int:
    answered = sum(run.answered for run in runs)
    failed = sum(run.failed for run in runs)
    if not answered:
        return ALL_FAILED
    return SOME_FAILED if failed else 0
