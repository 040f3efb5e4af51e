"""How `tensorwire bench` shows its figures: tables, a chart, and sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from tensorwire.units import format_duration

from .bench_figures import PERCENTILES, Figures
from .bench_plan import Load, describe_rate
from .tables import describe_milliseconds, number_table, visible

MOST_BARS = 14
"""Rows of the chart; neighbours are added up until they fit."""

_BAR_WIDTH = 40

_ROOMY = 90
"""Columns of a terminal on which numbers can stand further apart."""


def describe_loads(loads: Sequence[Load]) -> str:
    """What is done, in a sentence."""
    load = max(loads, key=lambda each: each.connections)
    over = f"{load.connections} connection{'s' if load.connections > 1 else ''}"
    if any(each.connections < load.connections for each in loads):
        over = f"up to {over}"
    if load.threads > 1:
        over += f" and {load.threads} threads"
    if load.rate is None:
        how = f"closed loop, {over}"
    else:
        how = f"open loop, {load.arrival} arrivals, {over}"
    length = f"{load.requests:,} requests" if load.requests else ""
    if load.duration is not None:
        length = f"{length} within " if length else ""
        length += format_duration(load.duration)
    return f"{how}; {length} after {format_duration(load.warmup)} of warm-up"


def show(out: Console, runs: Sequence[Figures]) -> None:
    """Shows all of it; the chart for a single load only."""
    tables = [_throughput(runs), _latencies(runs)]
    if any(run.phases_ms for run in runs):
        tables.append(_phases(runs))
    if any(run.failed for run in runs):
        tables.append(_errors(runs))
    shown: list[RenderableType] = []
    for table in tables:
        if out.width < _ROOMY:
            table.padding = 0
        shown += [table, ""]
    if len(runs) == 1 and runs[0].report["histogram"]:
        shown.append(Text("latency, and requests", style="bold"))
        shown.append(_chart(runs[0].report["histogram"], ascii_only=out.options.ascii_only))
    out.print(Group(*shown))
    for run in runs:
        about = f"{run.load.name}: " if len(runs) > 1 else ""
        for sentence in run.warnings():
            out.print(Text(f"! {about}{sentence}", style="yellow"), soft_wrap=True)


def _load_title(runs: Sequence[Figures]) -> str:
    return "concurrency" if runs[0].load.rate is None else "rate asked"


def _load_cell(load: Load) -> str:
    return str(load.concurrency) if load.rate is None else describe_rate(load.rate)


def _throughput(runs: Sequence[Figures]) -> Table:
    titles = ["answered", "failed", "requests/s", "rows/s", "sent", "received"]
    unsent = any(run.unsent for run in runs)
    if unsent:
        titles.insert(2, "not sent")
    table = number_table(_load_title(runs), *titles)
    for run in runs:
        rate = run.per_second("answered")
        failed = Text(f"{run.failed:,}", style="red" if run.failed else "")
        cells: list[str | Text] = [_load_cell(run.load), f"{run.answered:,}", failed]
        if unsent:
            cells.append(Text(f"{run.unsent:,}", style="red" if run.unsent else ""))
        cells += [_rate(rate), _rate(rate * run.rows)]
        cells += [_bytes(run.per_second(name)) for name in ("bytes_sent", "bytes_received")]
        table.add_row(*cells)
    return table


def _latencies(runs: Sequence[Figures]) -> Table:
    names = ("min", "mean", *PERCENTILES, "max")
    table = number_table(_load_title(runs), *(name.replace("_", ".") for name in names))
    for run in runs:
        times = [run.latency_ms[name] if run.answered else None for name in names]
        cells = ["-" if time is None else describe_milliseconds(time) for time in times]
        table.add_row(_load_cell(run.load), *cells)
    return table


def _phases(runs: Sequence[Figures]) -> Table:
    table = number_table(
        _load_title(runs), "mean", "p99", "requests", text=("the server's phase",)
    )
    for run in runs:
        title = _load_cell(run.load)
        for name, times in run.phases_ms.items():
            mean, p99 = (describe_milliseconds(times[which]) for which in ("mean", "p99"))
            table.add_row(title, Text(visible(name)), mean, p99, f"{times['count']:,}")
            title = ""
    return table


def _errors(runs: Sequence[Figures]) -> Table:
    table = number_table(_load_title(runs), "failed", text=("code", "the first one's message"))
    for run in runs:
        title = _load_cell(run.load)
        for error in run.report["errors"]:
            example = Text(visible(error["example"]))
            table.add_row(title, Text(error["code"], style="red"), example, f"{error['count']:,}")
            title = ""
    return table


def _chart(buckets: Sequence[dict[str, Any]], *, ascii_only: bool) -> Table:
    """A bar for each range of latencies."""
    bars = merged(buckets, MOST_BARS)
    highest = max(bar["count"] for bar in bars)
    total = sum(bar["count"] for bar in bars)
    block = "#" if ascii_only else "█"
    table = Table.grid(padding=(0, 1))
    for align in ("right", "left", "right", "left", "right", "right"):
        table.add_column(justify=align)
    for bar in bars:
        length = math.ceil(bar["count"] / highest * _BAR_WIDTH)
        edges = [describe_milliseconds(bar[name]) for name in ("from_ms", "to_ms")]
        share = f"{bar['count'] / total:.1%}" if bar["count"] else ""
        table.add_row(
            edges[0],
            "to",
            edges[1],
            Text(block * length, style="cyan"),
            f"{bar['count']:,}",
            share,
        )
    return table


def merged(buckets: Sequence[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    """At most so many buckets: neighbours added up, all of the same number."""
    size = math.ceil(len(buckets) / most)
    groups = [buckets[start : start + size] for start in range(0, len(buckets), size)]
    return [
        {
            "from_ms": group[0]["from_ms"],
            "to_ms": group[-1]["to_ms"],
            "count": sum(bucket["count"] for bucket in group),
        }
        for group in groups
    ]


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _bytes(per_second: float) -> str:
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if per_second >= scale:
            return f"{per_second / scale:.3g} {unit}/s"
    return f"{per_second:.0f} B/s"
