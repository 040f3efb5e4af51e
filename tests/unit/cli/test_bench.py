"""The parts of `tensorwire bench` that need no server."""

import itertools
import json
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner

from tensorwire.cli.bench import bench
from tensorwire.cli.bench_figures import Figures
from tensorwire.cli.bench_plan import Load, number_list, plan_loads
from tensorwire.cli.bench_view import describe_loads, merged
from tensorwire.cli.tables import describe_milliseconds
from tensorwire.cli.wanted import WantedInput

ALIKE: dict[str, Any] = {
    "arrival": "constant",
    "max_outstanding": 1000,
    "duration": 10.0,
    "requests": None,
    "warmup": 1.0,
    "threads": 1,
    "timeout": 60.0,
    "retries": 0,
    "server_timings": False,
}


def load(**changed: Any) -> Load:
    alike = {**ALIKE, **changed}
    rates = (alike.pop("rate"),) if "rate" in alike else ()
    return plan_loads((), rates, None, **alike)[0]


def figures(load: Load, **changed: Any) -> Figures:
    """Those of a load that went well, but for what is `changed`."""
    times = dict.fromkeys(("min", "mean", "p50", "p90", "p95", "p99", "p99_9", "max"), 1.0)
    report = {
        "stage": "ended",
        "seconds": 10.0,
        "sent": 20_000,
        "answered": 20_000,
        "failed": 0,
        "outstanding": 0,
        "unsent_outstanding": 0,
        "unsent_late": 0,
        "bytes_sent": 4_000_000,
        "bytes_received": 1_000_000,
        "latency_ms": {"count": 20_000, **times},
        "histogram": [],
        "errors": [],
        "phases_ms": [],
        "generator": {"processor_seconds": 1.0, "busy": 0.1, "lateness_ms": {"p99": 0.01}},
        "recent": {},
        **changed,
    }
    return Figures(load, report, rows=4)


def test_numbers_with_commas() -> None:
    read = number_list(int, 1, 100)
    context = click.Context(bench)
    parameter = bench.params[0]
    assert read(context, parameter, None) == ()
    assert read(context, parameter, "1, 4,16") == (1, 4, 16)
    for text, says in (
        ("0", "1 to 100"),
        ("4,x", "'x'"),
        ("1,", "''"),
        ("101", "101"),
        ("1.5", "1.5"),
    ):
        with pytest.raises(click.BadParameter, match=says):
            read(context, parameter, text)
    with pytest.raises(click.BadParameter, match="nan"):
        number_list(float, 0, 1)(context, parameter, "nan")


def test_one_load_for_each_concurrency() -> None:
    loads = plan_loads((1, 16), (), None, **ALIKE)
    assert [(each.concurrency, each.connections) for each in loads] == [(1, 1), (16, 4)]
    assert describe_loads(loads).startswith("closed loop, up to 4 connections; 10 s after")
    plan = json.loads(loads[1].to_native())
    assert plan["concurrency"] == 16 and plan["rate"] is None and "retries" not in plan


def test_a_load_never_has_idle_connections_or_threads() -> None:
    (alone,) = plan_loads((1,), (), 8, **{**ALIKE, "threads": 4})
    assert (alone.connections, alone.threads) == (1, 1)
    (wide,) = plan_loads((64,), (), None, **{**ALIKE, "threads": 8})
    assert (wide.connections, wide.threads) == (8, 8)


def test_the_default_is_one_caller() -> None:
    (only,) = plan_loads((), (), None, **ALIKE)
    assert (only.concurrency, only.rate, only.name) == (1, None, "concurrency 1")
    assert load(rate=2500.0).name == "2,500/s"


def test_two_kinds_of_load_are_refused() -> None:
    done = CliRunner().invoke(bench, ["host:1", "m", "--rate", "5", "--concurrency", "2"])
    assert done.exit_code == 2 and "give one of them" in done.output


def test_figures_of_a_good_run_are_not_doubted() -> None:
    good = figures(load(rate=2000.0))
    assert good.warnings() == []
    described = good.as_json()
    assert described["requests_per_s"] == 2000 and described["rows_per_s"] == 8000
    assert described["bytes_sent_per_s"] == 400_000
    assert described["given_up"] == 0 and "stage" not in described


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"unsent_outstanding": 7}, "7 requests were not sent, since 1,000 were under way"),
        ({"unsent_late": 7}, "could not send so fast"),
        ({"answered": 10_000}, "1,000 of 2,000 requests a second"),
        ({"outstanding": 3}, "3 requests were given up"),
        ({"answered": 900, "seconds": 0.45}, "900 answers are too few for p99.9"),
        (
            {"errors": [{"code": "DEADLINE_EXCEEDED", "count": 5, "example": "late"}]},
            "5 requests had no answer within 60 s",
        ),
        (
            {"generator": {"busy": 0.97, "lateness_ms": {"p99": 0.0}}},
            "busy for 97% of the time: tensorwire bench was the limit",
        ),
        (
            {"generator": {"busy": 0.2, "lateness_ms": {"p99": 2.5}}},
            "1% of the requests were sent 2.5 ms or more after they were due",
        ),
    ],
)
def test_what_makes_figures_doubtful_is_said(changed: dict[str, Any], says: str) -> None:
    (warning,) = figures(load(rate=2000.0), **changed).warnings()
    assert says in warning


def test_a_chart_has_few_bars_and_all_requests() -> None:
    buckets = [{"from_ms": n, "to_ms": n + 1, "count": n} for n in range(31)]
    bars = merged(buckets, 14)
    assert len(bars) == 11
    assert sum(bar["count"] for bar in bars) == sum(range(31))
    assert all(a["to_ms"] == b["from_ms"] for a, b in itertools.pairwise(bars))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0123, "12.3 µs"),
        (0.9999, "1 ms"),
        (0.999, "999 µs"),
        (4.5, "4.5 ms"),
        (123.4, "123 ms"),
        (1234.0, "1.23 s"),
    ],
)
def test_times_have_a_unit_that_fits(value: float, shown: str) -> None:
    assert describe_milliseconds(value) == shown


def test_rows_of_a_batch() -> None:
    free = WantedInput("x", np.dtype("f4"), (None, None, 2))
    assert free.filled("random", rows=8).shape == (8, 1, 2)
    given = np.arange(6, dtype="f4").reshape(3, 1, 2)
    assert free.with_rows(given, 7)[:, 0, 0].tolist() == [0, 2, 4, 0, 2, 4, 0]
    fixed = WantedInput("x", np.dtype("f4"), (1, 2))
    assert not fixed.has_free_rows and fixed.filled("ones", rows=8).shape == (1, 2)
    assert (
        WantedInput("t", np.dtype(object), (None,)).filled("random", rows=2).tolist()
        == [b"some text"] * 2
    )
