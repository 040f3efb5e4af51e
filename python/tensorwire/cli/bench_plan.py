"""The loads that `tensorwire bench` puts on a server, one after the other."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import click

MOST_DEFAULT_CONNECTIONS = 4
"""Servers spread connections over their cores; more than a few cost without need."""


@dataclass(frozen=True)
class Load:
    """One load. Times are in seconds; either `concurrency` or `rate` is None."""

    concurrency: int | None
    """Callers, each of which sends its next request when it has its answer."""

    rate: float | None
    """Requests a second, whatever becomes of them."""

    arrival: str
    max_outstanding: int
    duration: float | None
    requests: int | None
    warmup: float
    connections: int
    threads: int
    timeout: float
    retries: int
    server_timings: bool

    @property
    def callers(self) -> int:
        """Requests that can be under way."""
        return self.max_outstanding if self.concurrency is None else self.concurrency

    @property
    def name(self) -> str:
        """`concurrency 16` or `1000/s`."""
        if self.rate is not None:
            return describe_rate(self.rate)
        return f"concurrency {self.concurrency}"

    def to_native(self) -> str:
        """As the core's load test takes it."""
        plan = asdict(self)
        del plan["retries"], plan["server_timings"]
        return json.dumps(plan)


def describe_rate(rate: float) -> str:
    """`2,500/s`."""
    return f"{rate:,.9g}/s"


def plan_loads(
    concurrencies: tuple[int, ...],
    rates: tuple[float, ...],
    connections: int | None,
    **alike: Any,
) -> list[Load]:
    """A load for each concurrency or each rate; UsageError if they can't be."""
    if concurrencies and rates:
        raise click.UsageError(
            "--concurrency (callers that wait for their answers) and --rate (requests that "
            "come whatever happens) are two kinds of load: give one of them"
        )
    loads = [Load(None, rate, connections=0, **alike) for rate in rates]
    loads += [
        Load(each, None, connections=0, **alike)
        for each in concurrencies or (() if rates else (1,))
    ]
    return [_connected(load, connections) for load in loads]


def _connected(load: Load, connections: int | None) -> Load:
    threads = min(load.threads, load.callers)
    if connections is None:
        connections = max(threads, min(load.callers, MOST_DEFAULT_CONNECTIONS))
    elif connections > load.callers:
        connections = load.callers
    return replace(load, connections=connections, threads=min(threads, connections))


def number_list(
    kind: type[int] | type[float], least: float, most: float
) -> Callable[[click.Context, click.Parameter, str | None], tuple[Any, ...]]:
    """Reads an option such as `1,4,16`: BadParameter for what is no number or out of
    range."""

    def read(text: str) -> int | float:
        try:
            number = kind(text)
        except ValueError:
            what = "whole number" if kind is int else "number"
            raise click.BadParameter(f"{text!r} is no {what}") from None
        if not least <= number <= most:
            raise click.BadParameter(f"{text} is not from {least:g} to {most:.0f}")
        return number

    def callback(
        _context: click.Context, _parameter: click.Parameter, text: str | None
    ) -> tuple[Any, ...]:
        return () if text is None else tuple(read(part.strip()) for part in text.split(","))

    return callback
