"""The load generator against a server that is not ours and, for speed, against ours."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from stub_server import MODEL, Refusal, StubServer

import tensorwire as tw
from tensorwire import tensors
from tensorwire._core import LoadTest, NativeError, Request

SECONDS = 60
PLAN = {
    "concurrency": None,
    "rate": None,
    "arrival": "constant",
    "max_outstanding": 1000,
    "warmup": 0.0,
    "duration": None,
    "requests": None,
    "connections": 1,
    "threads": 1,
    "timeout": 20.0,
}
OPTIONS = {
    "connect_timeout": 5.0,
    "keepalive_time": None,
    "keepalive_timeout": 20.0,
    "retries": 0,
    "retry_initial_backoff": 0.05,
    "retry_max_backoff": 1.0,
    "max_message_bytes": 2**31 - 1,
    "user_agent": "tests",
}


def start(
    address: str, *metadata: tuple[str, str], request: Request | None = None, **plan: Any
) -> LoadTest:
    if request is None:
        request = echo_request()
    native = json.dumps({**PLAN, **plan})
    return LoadTest([address], json.dumps(OPTIONS), request, native, metadata)


def echo_request(model: str = MODEL) -> Request:
    x = tensors.encode("x", np.ones((3, 2), np.float32), None)
    return Request.predict(model, None, None, "serving_default", [x], [])


def ended(test: LoadTest) -> dict[str, Any]:
    assert test.wait(SECONDS)
    return report(test)


def report(test: LoadTest) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(test.report())
    return told


def wait_for(condition: Any) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end
        threading.Event().wait(0.005)


def test_so_many_requests_and_no_more(server: StubServer) -> None:
    told = ended(start(server.address, concurrency=4, requests=50, connections=2))
    assert (told["stage"], told["answered"], told["failed"]) == ("ended", 50, 0)
    assert len(server.calls) == 50
    size = server.calls[0].request.ByteSize()
    assert told["bytes_sent"] == 50 * size
    assert told["bytes_received"] > 0
    latency = told["latency_ms"]
    assert latency["count"] == 50
    order = [latency[name] for name in ("min", "p50", "p90", "p95", "p99", "p99_9", "max")]
    assert order == sorted(order) and order[0] > 0
    assert sum(bucket["count"] for bucket in told["histogram"]) == 50
    assert server.calls[0].seconds_left is not None


def test_warmup_is_not_measured(server: StubServer) -> None:
    told = ended(start(server.address, rate=100.0, warmup=0.3, duration=0.3))
    assert told["sent"] == told["answered"] == 30
    assert len(server.calls) == 60


def test_concurrency_is_kept(server: StubServer) -> None:
    """So many wait at the server, and no more come."""
    server.gate.clear()
    test = start(server.address, concurrency=6, requests=12, connections=2)
    server.wait_for_calls(6)
    assert report(test)["outstanding"] == 6
    assert not test.wait(0.1)
    assert len(server.calls) == 6
    server.gate.set()
    assert ended(test)["answered"] == 12


def test_a_stall_is_felt_by_all_who_would_have_come(server: StubServer) -> None:
    """Coordinated omission: the server stops for a while, and each request that was due
    meanwhile counts from when it was due."""
    test = start(server.address, rate=200.0, duration=1.5)
    wait_for(lambda: report(test)["answered"] >= 20)
    server.gate.clear()
    threading.Event().wait(0.5)
    server.gate.set()
    told = ended(test)
    assert told["answered"] == told["sent"] == 300
    slow = sum(each["count"] for each in told["histogram"] if each["from_ms"] > 100)
    # A closed loop of one caller would have seen a single slow request.
    assert slow >= 60
    assert told["latency_ms"]["max"] >= 450


def test_a_generator_that_falls_behind_says_so() -> None:
    """Nobody answers the connection, so sending begins late: what was due counts on."""
    with StubServer() as server:
        told = ended(start(server.address, rate=50.0, requests=5))
    late = told["generator"]["lateness_ms"]
    assert late["count"] == 5
    assert 0 < late["p50"] <= told["latency_ms"]["max"]
    assert told["generator"]["busy"] is not None


def test_requests_that_cannot_be_sent_are_counted(server: StubServer) -> None:
    server.gate.clear()
    test = start(server.address, rate=200.0, requests=100, max_outstanding=10)
    wait_for(lambda: report(test)["stage"] == "finishing")
    server.gate.set()
    told = ended(test)
    assert (told["sent"], told["unsent_outstanding"], told["answered"]) == (10, 90, 10)
    assert len(server.calls) == 10


def test_arrivals_at_random_keep_the_rate(server: StubServer) -> None:
    told = ended(start(server.address, rate=200.0, arrival="poisson", duration=2.0))
    # Within five standard deviations.
    assert 300 <= told["answered"] <= 500


def test_errors_by_code(server: StubServer) -> None:
    refusals = [Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, f"full {n}") for n in range(3)]
    server.refusals.extend([*refusals, Refusal(grpc.StatusCode.UNAVAILABLE, "gone")])
    told = ended(start(server.address, concurrency=1, requests=10))
    assert (told["answered"], told["failed"]) == (6, 4)
    found = [(each["code"], each["count"], each["example"]) for each in told["errors"]]
    assert found == [("RESOURCE_EXHAUSTED", 3, "full 0"), ("UNAVAILABLE", 1, "gone")]
    assert told["latency_ms"]["count"] == 6
    assert 0 < told["errors"][0]["mean_ms"] <= told["errors"][0]["max_ms"]


def test_deadlines_are_errors(server: StubServer) -> None:
    server.gate.clear()
    told = ended(start(server.address, concurrency=2, requests=2, timeout=0.2))
    assert (told["answered"], told["failed"]) == (0, 2)
    assert told["errors"][0]["code"] == "DEADLINE_EXCEEDED"
    assert told["latency_ms"]["count"] == 0 and told["histogram"] == []


def test_a_server_that_goes_away_is_an_error_and_no_hang() -> None:
    with StubServer() as server:
        test = start(server.address, rate=100.0, duration=1.0)
        wait_for(lambda: report(test)["answered"] >= 10)
    told = ended(test)
    assert told["answered"] >= 10 and told["failed"] > 0
    assert "UNAVAILABLE" in {each["code"] for each in told["errors"]}


def test_nobody_there(unused_tcp_port: int) -> None:
    told = ended(start(f"127.0.0.1:{unused_tcp_port}", concurrency=2, requests=4))
    assert (told["answered"], told["failed"]) == (0, 4)
    assert "refused" in told["errors"][0]["example"]


def test_stop_lets_what_is_under_way_finish(server: StubServer) -> None:
    server.gate.clear()
    test = start(server.address, concurrency=3, duration=1000.0)
    server.wait_for_calls(3)
    test.stop()
    assert not test.wait(0.05)
    server.gate.set()
    assert ended(test)["answered"] == 3


def test_cancel_gives_it_up_and_the_server_is_told(server: StubServer) -> None:
    server.gate.clear()
    test = start(server.address, rate=100.0, duration=1000.0)
    server.wait_for_calls(3)
    test.cancel()
    told = ended(test)
    assert told["answered"] == 0 and told["outstanding"] >= 3
    assert all(call.cancelled.wait(20) for call in server.calls[:3])


def test_stop_before_anything_was_measured(server: StubServer) -> None:
    test = start(server.address, concurrency=1, warmup=1000.0, duration=1.0)
    server.wait_for_calls(1)
    assert report(test)["stage"] == "warming_up"
    test.stop()
    told = ended(test)
    assert (told["sent"], told["seconds"], told["generator"]["busy"]) == (0, 0.0, None)


def test_the_servers_phases(server: StubServer) -> None:
    server.timings = 'decode;dur=0.012, queue;dur=0.1;desc="a, b", cache;desc=hit, total;dur=2.5'
    told = ended(start(server.address, ("tensorwire-timings", "1"), concurrency=1, requests=20))
    phases = dict(told["phases_ms"])
    assert sorted(phases) == ["decode", "queue", "total"]
    assert all(times["count"] == 20 for times in phases.values())
    assert phases["total"]["mean"] == pytest.approx(2.5, rel=1e-3)
    assert phases["decode"]["p99"] == pytest.approx(0.012, rel=1e-3)
    assert ended(start(server.address, concurrency=1, requests=1))["phases_ms"] == []


def test_several_threads_share_the_work(server: StubServer) -> None:
    told = ended(start(server.address, concurrency=5, requests=40, connections=4, threads=2))
    assert told["answered"] == len(server.calls) == 40
    told = ended(start(server.address, rate=100.0, duration=0.5, connections=3, threads=3))
    assert told["answered"] == 50


def test_reports_add_up(server: StubServer) -> None:
    """Whoever asks often takes nothing from the totals."""
    test = start(server.address, rate=300.0, requests=150)
    recent = 0
    while not test.wait(0.005):
        told = report(test)
        recent += told["recent"]["answered"]
        assert told["recent"]["answered"] <= told["answered"] <= told["sent"] <= 150
    told = report(test)
    assert recent + told["recent"]["answered"] == told["answered"] == 150
    assert report(test)["latency_ms"] == told["latency_ms"]


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        ({}, "either a concurrency or a rate"),
        ({"concurrency": 1, "rate": 1.0, "requests": 1}, "either a concurrency or a rate"),
        ({"concurrency": 1}, "an end"),
        ({"concurrency": 0, "requests": 1}, "concurrency"),
        ({"rate": -2.0, "requests": 1}, "-2"),
        ({"concurrency": 1, "requests": 1, "threads": 2}, "threads"),
        ({"concurrency": 1, "requests": 1, "connections": 0}, "connections"),
        ({"concurrency": 1, "duration": -1.0}, "duration"),
        ({"concurrency": 1, "requests": 1, "arrival": "never"}, "never"),
        ({"concurrency": 1, "requests": 1, "colour": "red"}, "colour"),
    ],
)
def test_plans_that_cannot_be(plan: dict[str, Any], says: str) -> None:
    with pytest.raises(NativeError) as caught:
        start("localhost:1", **plan)
    assert caught.value.args[0] == "INVALID_ARGUMENT" and says in caught.value.args[1]


@pytest.fixture(scope="module")
def ours(models: Path) -> Iterator[tw.Server]:
    with tw.Server({"mlp": models / "mlp"}, port=0) as server:
        yield server


def test_a_real_server(ours: tw.Server) -> None:
    """The server counts as many as we do, and all of them are answered right."""
    x = tensors.encode("x", np.ones((1, 32), np.float32), None)
    request = Request.predict("mlp", None, None, "serving_default", [x], [])
    with tw.Client(ours.address) as client:
        client.wait_until_ready(SECONDS, "mlp")
    for plan in ({"concurrency": 8}, {"rate": 2000.0}):
        told = ended(start(ours.address, request=request, requests=2000, connections=2, **plan))
        assert (told["answered"], told["failed"]) == (2000, 0), told["errors"]
        assert told["generator"]["processor_seconds"] > 0
