"""`tensorwire replay`: recorded requests, sent again."""

from __future__ import annotations

import itertools
import json
import sys
import time
from pathlib import Path
from typing import Any

import click
import numpy as np

from tensorwire import __version__
from tensorwire._core import NativeError
from tensorwire.client import Retry, Tls
from tensorwire.client.settings import (
    CONNECT_TIMEOUT_SECONDS,
    MAX_MESSAGE_BYTES,
    ClientSettings,
    chosen_tls,
)
from tensorwire.errors import TensorWireError, from_native
from tensorwire.recorded.pace import in_order
from tensorwire.recorded.replay import Plan, Replay, Result

from .choice import timeout_option
from .options import HELP_SETTINGS, debug_option, tls_options
from .tables import console as standard_output
from .tables import describe_milliseconds, empty_table

DIFFERENT = 1
_INTERRUPTED = 130
_PERCENTILES = (50, 90, 99, 99.9)
_DEFAULT_CALLERS = 8
_MOST_CALLERS = 1000
_PACED_CALLERS = 64
_SHOWN = 20
_SHOW_SECONDS = 0.5


def _speed(_context: click.Context, _parameter: click.Parameter, text: str) -> float | None:
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is neither a number nor max") from None
    if not 0.001 <= speed <= 1e6:
        raise click.BadParameter(f"{text} is not from 0.001 to 1000000")
    return speed


def _tolerance(_context: click.Context, _parameter: click.Parameter, value: float) -> float:
    if not 0 <= value < float("inf"):
        raise click.BadParameter(f"{value} is no tolerance")
    return value


@click.command(context_settings=HELP_SETTINGS, short_help="Send recorded requests again.")
@click.argument(
    "files",
    nargs=-1,
    required=True,
    metavar="FILE...",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@click.argument("target")
@click.option(
    "--speed",
    default="1",
    show_default=True,
    callback=_speed,
    metavar="TIMES|max",
    help="Times the pace at which the requests came, or max: as fast as they are answered.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, _MOST_CALLERS),
    metavar="N",
    help=f"Most requests under way. Default: {_PACED_CALLERS}; with --speed max, "
    f"{_DEFAULT_CALLERS}.",
)
@click.option(
    "--tolerance",
    type=float,
    default=1e-5,
    show_default=True,
    callback=_tolerance,
    metavar="NUMBER",
    help="How much floats may differ from those recorded, absolute or relative; integers and "
    "strings must be equal.",
)
@click.option(
    "--allow-errors",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="So many failed calls are no failure of the replay.",
)
@click.option("--model", metavar="NAME", help="Ask this model, its latest version, instead.")
@click.option("--signature", metavar="NAME", help="Ask for this signature instead.")
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="Only the first N records.")
@timeout_option
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@tls_options
@debug_option
def replay(
    files: tuple[Path, ...],
    target: str,
    concurrency: int | None,
    allow_errors: int,
    count: int | None,
    as_json: bool,
    tls: Tls | None,
    **asked: Any,
) -> int:
    """Send the requests in FILEs again, to the server at TARGET, which is HOST:PORT or
    unix:PATH, and compare its replies with those recorded.

    A FILE is a request log of `tensorwire serve --log-requests` (TFRecord or JSON lines), or
    a model's warm-up file, which has no replies to compare and no times: send it with
    --speed max. Records of several FILEs, of several models perhaps, are sent in the order of
    their times.

    \b
    tensorwire replay logs/mnist-*.tfrecord localhost:50051
    tensorwire replay logs/mnist-*.jsonl localhost:50051 --speed 10 --model mnist_v2
    tensorwire replay warmup.tfrecord localhost:50051 --speed max --concurrency 32

    Exit status: 0 if all replies were as recorded, 1 if one was not or more calls failed than
    --allow-errors, 130 after Ctrl-C. Needs the package protobuf: pip install
    'tensorwire[server]'
    """
    default = _DEFAULT_CALLERS if asked["speed"] is None else _PACED_CALLERS
    plan = Plan(concurrency=concurrency or default, **asked)
    settings = ClientSettings(
        targets=(target,),
        timeout=plan.timeout,
        retry=Retry(retries=0),
        keepalive=None,
        metadata=(),
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        wait_for_ready=False,
        strings="bytes",
        max_message_bytes=MAX_MESSAGE_BYTES,
        tls=chosen_tls(tls, (target,)),
    )
    try:
        under_way = Replay(settings, plan)
    except NativeError as error:
        raise from_native(error) from None
    interrupted, broken = False, None
    with _Display(disable=not sys.stderr.isatty()) as display:
        try:
            under_way.run(itertools.islice(in_order(files), count), display.show)
        except KeyboardInterrupt:
            interrupted = True
        except TensorWireError as error:
            broken = error
    result = under_way.result
    if as_json:
        end = {"interrupted": interrupted, "error": None if broken is None else str(broken)}
        click.echo(json.dumps({**_document(result), **end}, indent=2))
    elif broken is None or result.sent:
        _show(result)
    if broken is not None:
        raise broken
    if interrupted:
        return _INTERRUPTED
    return DIFFERENT if result.different or result.failed > allow_errors else 0


class _Display:
    """A line on a terminal that says how far it is."""

    def __init__(self, *, disable: bool) -> None:
        self._disable = disable
        self._shown = 0.0

    def __enter__(self) -> _Display:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            click.echo("\r\x1b[K", err=True, nl=False)

    def show(self, result: Result) -> None:
        """Shows it, if it was not a moment ago."""
        now = time.monotonic()
        if self._disable or now - self._shown < _SHOW_SECONDS:
            return
        self._shown = now
        text = f"{result.sent:,} sent, {result.different:,} different, {result.failed:,} failed"
        click.echo(f"\r\x1b[K{text}", err=True, nl=False)


def _latency_ms(result: Result) -> dict[str, float]:
    if not result.latencies:
        return {}
    found = {
        f"p{each:g}".replace(".", "_"): float(np.percentile(result.latencies, each)) * 1e3
        for each in _PERCENTILES
    }
    return {**found, "max": max(result.latencies) * 1e3}


def _document(result: Result) -> dict[str, Any]:
    return {
        "tensorwire": __version__,
        "sent": result.sent,
        "answered": result.answered,
        "failed": result.failed,
        "compared": result.compared,
        "different": result.different,
        "without_reply": result.without_reply,
        "skipped": result.skipped,
        "seconds": result.seconds,
        "requests_per_s": result.answered / result.seconds if result.seconds else 0.0,
        "latency_ms": _latency_ms(result),
        "lateness_ms": result.lateness * 1e3,
        "errors": dict(result.errors),
        "failures": [{"record": place, "error": text} for place, text in result.failures],
        "differences": [
            {"record": each.place, "output": one.output, "difference": one.what}
            for each in result.mismatches
            for one in each.differences
        ],
    }


def _show(result: Result) -> None:
    out = standard_output()
    for mismatch in result.mismatches[:_SHOWN]:
        for one in mismatch.differences:
            click.echo(f"{mismatch.place}, {one.output}: {one.what}")
    if result.different > _SHOWN:
        click.echo(f"{result.different - _SHOWN:,} more replies differ; --json lists them")
    for place, text in result.failures[:_SHOWN]:
        click.echo(f"{place}: {' '.join(text.split())}")
    if result.failed > _SHOWN:
        click.echo(f"{result.failed - _SHOWN:,} more calls failed; --json lists them")
    figures = empty_table(
        "sent", "answered", "failed", "as recorded", "different", "no reply kept"
    )
    as_recorded = result.compared - result.different
    counts = (result.sent, result.answered, result.failed, as_recorded)
    more = (result.different, result.without_reply)
    figures.add_row(*(f"{each:,}" for each in (*counts, *more)))
    out.print(figures)
    if result.skipped:
        click.echo(f"{result.skipped:,} records hold no request that can be sent again")
    latencies = _latency_ms(result)
    if latencies:
        shown = ", ".join(
            f"{name.replace('_', '.')} {describe_milliseconds(value)}"
            for name, value in latencies.items()
        )
        rate = result.answered / result.seconds
        click.echo(f"{rate:,.0f} requests/s; latency {shown}")
    if result.lateness > 1:
        click.echo(
            f"some were sent {result.lateness:.1f} s after they were due: more --concurrency, or "
            "less --speed, keeps the pace"
        )
