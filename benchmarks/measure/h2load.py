"""Load by nghttp2's h2load, and the proof that all of it was answered."""

import contextlib
import re
import shutil
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from contract import TEXT_PREDICT
from trouble import BenchmarkError

PROGRAM = "h2load"
TIMEOUT_SECONDS = 120.0
JSON_DIGITS = 4


@dataclass(frozen=True)
class Shape:
    """Connections, and requests under way on each."""

    connections: int
    streams: int


@dataclass(frozen=True)
class Target:
    """Who is asked what. `reply_bytes`: the size of a right reply's message. `core`: the
    load's; `None`: all, beside the server. `http1`: JSON over HTTP/1.1, a file and a
    reply without gRPC's frame."""

    url: str
    frame_file: Path
    reply_bytes: int
    core: int | None
    http1: bool = False


@dataclass(frozen=True)
class Latency:
    """Microseconds from a request to its whole reply."""

    median: float
    p99: float


def require() -> None:
    """Raises where h2load is missing."""
    if shutil.which(PROGRAM) is None:
        raise BenchmarkError(
            "h2load is not installed: it comes with nghttp2 "
            "(apt-get install nghttp2-client, dnf install nghttp2, apk add nghttp2)."
        )


def command(target: Target, shape: Shape, amount: list[str]) -> list[str]:
    """h2load on the load's core; `amount` is `-n REQUESTS` or `-D SECONDS`."""
    pinned = [] if target.core is None else ["taskset", "-c", str(target.core)]
    load = [PROGRAM, "-t", "1", "-c", str(shape.connections), "-m", str(shape.streams), *amount]
    headers = ["-H", "content-type: application/grpc", "-H", "te: trailers"]
    if target.http1:
        headers = ["--h1", "-H", "content-type: application/json"]
    return [*pinned, *load, "-d", str(target.frame_file), *headers, target.url]


def warm_up(target: Target, shape: Shape, seconds: float) -> float:
    """Loads for so long; answers requests/s."""
    return _rate(_run(command(target, shape, ["-D", f"{round(seconds * 1000)}ms"])))


def load(target: Target, shape: Shape, requests: int) -> float:
    """Sends so many requests and checks that each was answered; requests/s."""
    report = _run(command(target, shape, ["-n", str(requests)]))
    _check(report, target, requests)
    return _rate(report)


def load_side_by_side(targets: Sequence[Target], shape: Shape, requests: int) -> None:
    """The same for several targets at once, by a process for each: h2load sends one
    message only. `requests` are each target's."""
    lines = [command(target, shape, ["-n", str(requests)]) for target in targets]
    with contextlib.ExitStack() as stack:
        running = []
        for line in lines:
            process = stack.enter_context(
                subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            )
            # Where one fails the others must not stay.
            stack.callback(process.kill)
            running.append(process)
        for target, line, process in zip(targets, lines, running, strict=True):
            try:
                report, errors = process.communicate(timeout=TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired as error:
                raise BenchmarkError(f"{' '.join(line)} took too long.") from error
            if process.returncode != 0:
                raise BenchmarkError(f"{' '.join(line)} failed: {errors.strip()}")
            _check(report, target, requests)


def latency(target: Target, requests: int, log: Path) -> Latency:
    """One connection, one request at a time."""
    log.unlink(missing_ok=True)
    amount = ["-n", str(requests), f"--log-file={log}"]
    report = _run(command(target, Shape(1, 1), amount))
    _check(report, target, requests)
    micros = sorted(int(line.split("\t")[2]) for line in log.read_text().splitlines())
    return Latency(statistics.median(micros), float(micros[len(micros) * 99 // 100]))


def _run(line: list[str]) -> str:
    try:
        done = subprocess.run(line, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise BenchmarkError(f"{' '.join(line)} took more than {error.timeout:.0f} s.") from error
    if done.returncode != 0:
        raise BenchmarkError(f"{' '.join(line)} failed: {done.stderr.strip()}")
    return done.stdout


def _check(report: str, target: Target, requests: int) -> None:
    """Every request got a 2xx and, by the bytes that came, a reply of the right size: a
    gRPC error has a 2xx too, but no message."""
    succeeded = _number(r"(\d+) succeeded", report)
    answered = _number(r"status codes: (\d+) 2xx", report)
    received = _number(r"\((\d+)\) data", report)
    wanted = requests * (target.reply_bytes + (0 if target.http1 else 5))
    # In a larger batch a float can have other last digits, and JSON fewer or more of them.
    is_json = target.http1 or TEXT_PREDICT in target.url
    slack = requests * JSON_DIGITS if is_json else 0
    if (succeeded, answered) != (requests, requests) or abs(received - wanted) > slack:
        raise BenchmarkError(
            f"Of {requests} requests to {target.url} {succeeded} succeeded, {answered} with "
            f"a 2xx status; their replies had {received} bytes where right ones have {wanted}."
        )


def _rate(report: str) -> float:
    return float(_match(r"finished in [^,]+, ([\d.]+) req/s", report))


def _number(pattern: str, report: str) -> int:
    return int(_match(pattern, report))


def _match(pattern: str, report: str) -> str:
    found = re.search(pattern, report)
    if found is None:
        raise BenchmarkError(f"h2load's report has nothing like {pattern!r}: {report.strip()}")
    return found[1]
