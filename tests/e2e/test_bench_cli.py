"""`tensorwire bench` against a real server, in a pipe and on a terminal."""

import json
import os
import pty
import signal
import subprocess
from typing import Any

import pytest

from harness.server_process import ServerProcess
from harness.terminal import ESCAPES, command_line, in_pipe, on_terminal, plain

SHORT = ("--warmup", "100ms")


@pytest.fixture(scope="module")
def target(server: ServerProcess) -> str:
    return server.address


def bench(target: str, *arguments: str) -> dict[str, Any]:
    done = in_pipe("bench", target, *arguments, *SHORT, "--json")
    assert (done.code, done.err) == (0, "")
    document: dict[str, Any] = json.loads(done.out)
    return document


def test_json(target: str) -> None:
    told = bench(target, "mlp", "--requests", "200", "--concurrency", "4", "--batch", "8")
    assert (told["target"], told["model"], told["signature"]) == (target, "mlp", "serving_default")
    assert told["inputs"] == {"x": {"dtype": "float32", "shape": [8, 32]}}
    assert told["asked"]["concurrency"] == [4] and told["asked"]["requests"] == 200
    (run,) = told["runs"]
    assert (run["answered"], run["failed"], run["given_up"]) == (200, 0, 0)
    assert run["rows_per_s"] == pytest.approx(8 * run["requests_per_s"])
    assert run["requests_per_s"] == pytest.approx(200 / run["seconds"])
    assert set(run["latency_ms"]) >= {"min", "mean", "p50", "p90", "p95", "p99", "p99_9", "max"}
    assert sum(bucket["count"] for bucket in run["histogram"]) == 200
    assert run["bytes_sent_per_s"] > 8 * 32 * 4 * run["requests_per_s"]
    assert not told["interrupted"]


def test_a_sweep_has_a_row_for_each(target: str) -> None:
    told = bench(target, "mlp", "--requests", "50", "--concurrency", "1,2,8")
    assert [run["concurrency"] for run in told["runs"]] == [1, 2, 8]
    assert [run["connections"] for run in told["runs"]] == [1, 2, 4]
    assert all(run["answered"] == 50 for run in told["runs"])


def test_an_open_loop(target: str) -> None:
    told = bench(target, "half_plus_two", "--rate", "100,200", "--duration", "500ms")
    assert [run["rate"] for run in told["runs"]] == [100, 200]
    assert [run["answered"] + run["unsent_outstanding"] for run in told["runs"]] == [50, 100]
    assert all(run["generator"]["lateness_ms"]["count"] for run in told["runs"])


def test_inputs_given_and_made(target: str) -> None:
    """What is not given is made, as long as what is given; strings too."""
    told = bench(target, "add", "-i", "a=[1, 2, 3]", "--requests", "1")
    assert told["inputs"]["b"]["shape"] == told["inputs"]["a"]["shape"] == [3]
    told = bench(target, "half_plus_two", "-i", "[1, 2]", "--batch", "5", "--requests", "1")
    assert told["inputs"]["x"]["shape"] == [5] and told["rows_per_request"] == 5
    told = bench(target, "strings", "--batch", "2", "--requests", "1")
    assert told["inputs"]["text"] == {"dtype": "string", "shape": [2]}
    told = bench(
        target, "half_plus_two", "--signature", "summary", "-o", "least", "--requests", "1"
    )
    assert told["signature"] == "summary"


def test_in_a_pipe_it_is_plain_text(target: str) -> None:
    done = in_pipe("bench", target, "mlp", "--requests", "100", *SHORT)
    assert (done.code, done.err) == (0, "")
    assert not ESCAPES.search(done.out) and "\r" not in done.out
    for part in (
        "mlp version 1",
        "x float32 [1, 32]",
        "closed loop, 1 connection",
        "requests/s",
        "p99.9",
    ):
        assert part in done.out, done.out


def test_on_a_terminal_it_is_seen_to_go_on(target: str) -> None:
    shown = on_terminal(
        "bench", target, "mlp", "--duration", "800ms", "--concurrency", "2", *SHORT
    )
    assert shown.code == 0
    text = plain(shown.out)
    assert ESCAPES.search(shown.out) and "concurrency 2" in text
    assert "/s, p50 " in text and "latency, and requests" in text
    # The line with the bar is gone when the tables come.
    assert "━" not in text.partition("answered")[2]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("no_such_model",), 1, "no_such_model"),
        (("mlp", "--signature", "nope"), 1, "nope"),
        (("mlp", "-i", "[[1, 2]]"), 1, "size-incompatible"),
        (("mlp", "--version", "99"), 1, "99"),
        (("mlp", "--version", "1", "--label", "stable"), 2, "give one of them"),
        (("mlp", "-i", "z=[1]"), 2, "no input 'z'"),
        (("mlp", "--rate", "fast"), 2, "'fast' is no number"),
        (("mlp", "--duration", "0s"), 2, "leaves no time"),
        (("scalar", "--batch", "4"), 2, "--batch 4 can't be had"),
    ],
)
def test_mistakes_are_told_before_the_load(
    target: str, arguments: tuple[str, ...], code: int, says: str
) -> None:
    done = in_pipe("bench", target, *arguments)
    assert (done.code, done.out) == (code, "")
    assert says in done.err and "Traceback" not in done.err


def test_no_server(unused_tcp_port: int) -> None:
    done = in_pipe("bench", f"127.0.0.1:{unused_tcp_port}", "m")
    assert (done.code, done.out) == (1, "")
    assert "refused" in done.err and len(done.err.splitlines()) == 1


def interrupt_after(master: int, process: subprocess.Popen[bytes], sign: bytes) -> str:
    """Reads the terminal until `sign` is shown, presses Ctrl-C, reads the rest."""
    shown = bytearray()
    sent = False
    while True:
        try:
            chunk = os.read(master, 65536)
        except OSError:
            break
        if not chunk:
            break
        shown += chunk
        if not sent and sign in shown:
            process.send_signal(signal.SIGINT)
            sent = True
    return plain(shown.decode())


def test_interrupted_it_still_shows_what_it_has(target: str) -> None:
    ours, theirs = pty.openpty()
    arguments = ("bench", target, "mlp", "--duration", "1h", "--concurrency", "2,4", *SHORT)
    environment = {**os.environ, "COLUMNS": "100", "TERM": "xterm-256color"}
    process = subprocess.Popen(
        command_line(arguments), stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    try:
        text = interrupt_after(ours, process, b"p50")
        assert process.wait(60) == 130
    finally:
        process.kill()
        os.close(ours)
    assert "interrupted" in text and "answered" in text and "latency, and requests" in text
    assert "concurrency 4" not in text
