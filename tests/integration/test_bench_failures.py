"""`tensorwire bench` in this process, against a server that fails on command."""

import json

import grpc
import pytest
from stub_server import MODEL, Refusal, StubServer

from tensorwire.cli.program import run

BUSY = Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "the queue is\nfull")
ONCE = ("--requests", "4", "--warmup", "0s")


def bench(server: StubServer, *arguments: str) -> int:
    return run(["bench", server.address, MODEL, *ONCE, *arguments])


def test_the_first_request_is_no_part_of_the_load(
    server: StubServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(server, "--json") == 0
    assert len(server.calls) == 5
    first, *load = (call.request for call in server.calls)
    # Both ways to encode name the same tensors.
    assert all(list(each.inputs) == list(first.inputs) for each in load)
    assert json.loads(capsys.readouterr().out)["runs"][0]["answered"] == 4


def test_some_failures_are_3(server: StubServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.refusals.extend([None, None, BUSY, BUSY])
    assert bench(server) == 3
    shown = capsys.readouterr().out
    (line,) = (line for line in shown.splitlines() if "RESOURCE_EXHAUSTED" in line)
    # One line of a table, whatever the server says.
    assert "the queue is\\nfull" in line and line.rstrip().endswith("2")


def test_nothing_but_failures_is_1(server: StubServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.refusals.extend([None, *[BUSY] * 4])
    assert bench(server) == 1
    shown = capsys.readouterr().out
    assert "RESOURCE_EXHAUSTED" in shown and "latency, and requests" not in shown


def test_a_first_request_that_fails_ends_it(
    server: StubServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.refusals.append(BUSY)
    assert bench(server) == 1
    told = capsys.readouterr()
    assert told.out == "" and told.err.startswith("error: the queue is full")
    assert len(server.calls) == 1


def test_retries_are_asked_for(server: StubServer, capsys: pytest.CaptureFixture[str]) -> None:
    gone = Refusal(grpc.StatusCode.UNAVAILABLE, "gone")
    server.refusals.extend([None, gone])
    assert bench(server) == 3
    server.refusals.extend([None, gone])
    assert bench(server, "--retries", "2") == 0


def test_the_servers_timings(server: StubServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.timings = "queue;dur=0.5, execute;dur=12"
    assert bench(server, "--server-timings") == 0
    shown = capsys.readouterr().out
    for phase, time in (("queue", "500 µs"), ("execute", "12 ms")):
        (line,) = (line for line in shown.splitlines() if phase in line)
        assert line.count(time) == 2, line
    assert bench(server, "--server-timings", "--json") == 0
    (figures,) = json.loads(capsys.readouterr().out)["runs"]
    assert figures["server_timings_ms"]["execute"]["mean"] == pytest.approx(12, rel=1e-3)


def test_other_signatures_and_labels(
    server: StubServer, capsys: pytest.CaptureFixture[str]
) -> None:
    for signature in ("small", "switch", "half", "text", "two", "whole"):
        assert bench(server, "--signature", signature, "--label", "stable") == 0, signature
        assert server.calls[-1].request.model_spec.version_label == "stable"
    assert bench(server, "--signature", "two", "--batch", "3") == 0
    assert server.calls[-1].request.inputs["b"].tensor_shape.dim[0].size == 3
    capsys.readouterr()
