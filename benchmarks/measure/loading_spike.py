"""What loading a model of 500 MB does to the latencies of another that serves on the same
core meanwhile, and what another process does to them that only reads the model's file: a read
keeps the core from everybody for as long as the kernel lets it.
"""

import contextlib
import http
import http.client
import json
import shlex
import statistics
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import model as headline
from contestants import tensorwire
from contestants.running import Running
from markdown import spread, table
from part import Bench, Found
from saved_model import large_model
from target import Target
from trouble import BenchmarkError

TITLE = "Loading beside serving"
KEY = "loading-spike"
# Of the requests/s that the loaded server answers: a core that is a third busy.
OPEN_RATE = 5_000
CLOSED = 16
LOAD_SECONDS = 120.0
BIG = "big"
LOADS = {
    "open": ["--rate", str(OPEN_RATE), "--arrival", "poisson"],
    "closed": ["--concurrency", str(CLOSED)],
}
# Bytes of one read, by what it is called.
READS = {"reading it at once": 1 << 30, "reading it by 256 KiB": 1 << 18}
# A process of the lowest priority that reads a file into fresh memory until it is ended.
READER = """\
import mmap
import os
import sys
path, piece = sys.argv[1], int(sys.argv[2])
os.nice(19)
file = os.open(path, os.O_RDONLY)
size = os.fstat(file).st_size
print("reading", flush=True)
while True:
    with mmap.mmap(-1, size) as memory, memoryview(memory) as view:
        done = 0
        while done < size:
            done += os.preadv(file, [view[done : done + piece]], done)
"""


@dataclass(frozen=True)
class Latency:
    """Milliseconds of one lap; `loads`: how often the large model was loaded during it."""

    median: float
    p99: float
    loads: int


@dataclass(frozen=True)
class Samples:
    """By kind of load, with and without loading, a lap for each round."""

    quiet: dict[str, list[Latency]]
    loading: dict[str, list[Latency]]
    # Under the open load, by how the file is read.
    reading: dict[str, list[Latency]]

    def ratio(self, kind: str) -> float:
        """p99 with against p99 without: the median of the rounds' ratios."""
        pairs = zip(self.loading[kind], self.quiet[kind], strict=True)
        return statistics.median(loading.p99 / quiet.p99 for loading, quiet in pairs)


def measure(bench: Bench) -> Found:
    """The server on one core, the load on the other; the large model is loaded and unloaded
    again and again for as long as a lap takes."""
    big = large_model()
    contestant = tensorwire.serving(
        KEY,
        {headline.NAME: bench.model.folder},
        [],
        "--remote-control",
        "on",
        "--measure-cache",
        "off",
    )
    samples = Samples(
        {kind: [] for kind in LOADS}, {kind: [] for kind in LOADS}, {how: [] for how in READS}
    )
    commands: dict[str, str] = {}
    with Running(contestant, bench.cores.server) as server:
        for number in range(bench.plan.rounds):
            for kind, load in LOADS.items():
                line = _command(server, load, bench)
                commands[f"load {KEY}, {kind}"] = shlex.join(line)
                quiet = _lap(line)
                with _Loading(server, big) as loading:
                    lap = _lap(line)
                busy = Latency(lap.median, lap.p99, loading.count)
                samples.quiet[kind].append(quiet)
                samples.loading[kind].append(busy)
                print(
                    f"round {number + 1}  {kind:<6}  p99 {quiet.p99:.3f} ms alone, "
                    f"{busy.p99:.3f} ms during {busy.loads} loads",
                    flush=True,
                )
            for how, piece in READS.items():
                with _reading(big, piece, bench.cores.server):
                    lap = _lap(_command(server, LOADS["open"], bench))
                samples.reading[how].append(lap)
                print(f"round {number + 1}  {how}  p99 {lap.p99:.3f} ms", flush=True)
        commands[f"start {KEY}"] = shlex.join(server.command)
    return Found(samples, commands)


def targets(samples: Samples | None) -> Sequence[Target]:
    """Loading must leave those alone that serve."""
    return [
        Target(
            f"p99 while a 500 MB model loads, times that without, {kind} loop",
            1.3,
            False,
            None if samples is None else samples.ratio(kind),
        )
        for kind in LOADS
    ]


def describe(samples: Samples) -> str:
    """Both loads, alone and beside loading."""
    titles = {
        "open": f"open loop, {OPEN_RATE:,} requests/s",
        "closed": f"closed loop, {CLOSED} callers",
    }
    rows = []
    for kind, title in titles.items():
        for name, laps in (("alone", samples.quiet[kind]), ("loading", samples.loading[kind])):
            rows.append(
                [
                    f"{title}, {name}",
                    spread([lap.median for lap in laps], 3),
                    spread([lap.p99 for lap in laps], 3),
                    str(sum(lap.loads for lap in laps)),
                ]
            )
    for how, laps in samples.reading.items():
        rows.append(
            [
                f"open loop, beside another process {how}",
                spread([lap.median for lap in laps], 3),
                spread([lap.p99 for lap in laps], 3),
                "-",
            ]
        )
    text = (
        "The headline's network on one core, while a model of 500 MB is loaded and unloaded "
        "through the same port, again and again, on that same core. Loading threads are of the "
        "lowest priority; restoring the variables, measuring and freeing are done in them. The "
        "last two lines are beside a process of the lowest priority that does nothing but read "
        "the model's variables from the page cache, in one call or in small ones: what the "
        "kernel does for one call, it does not interrupt for anybody here."
    )
    header = ["load", "median ms", "p99 ms", "times loaded"]
    return f"{text}\n\n{table(header, rows)}"


@contextlib.contextmanager
def _reading(model: Path, piece: int, core: int) -> Iterator[None]:
    path = next(model.glob("*/variables/variables.data-00000-of-00001"))
    line = ["taskset", "-c", str(core), sys.executable, "-c", READER, str(path), str(piece)]
    with subprocess.Popen(line, stdout=subprocess.PIPE) as reader:
        try:
            if reader.stdout is None or not reader.stdout.readline():
                raise BenchmarkError(f"{path} could not be read")
            yield
        finally:
            reader.kill()


class _Loading:
    """Loads and unloads a model through the server's own port from `with` to its end."""

    def __init__(self, server: Running, folder: Path) -> None:
        self.count = 0
        self._stop = threading.Event()
        self._failure: str | None = None
        self._port = server.port
        self._config = {"base_path": str(folder), "model_platform": "tensorflow"}
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> "_Loading":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join(2 * LOAD_SECONDS)
        if self._failure is not None and error is None:
            raise BenchmarkError(f"The large model could not be loaded: {self._failure}")

    def _work(self) -> None:
        try:
            while not self._stop.is_set():
                self._ask("load", self._config)
                self._ask("unload", {})
                self.count += 1
        except (OSError, BenchmarkError) as failure:
            self._failure = str(failure)

    def _ask(self, verb: str, body: dict[str, str]) -> None:
        with contextlib.closing(
            http.client.HTTPConnection("127.0.0.1", self._port, timeout=LOAD_SECONDS)
        ) as connection:
            connection.request("POST", f"/v1/models/{BIG}:{verb}", json.dumps(body))
            answer = connection.getresponse()
            page = answer.read()
        if answer.status != http.HTTPStatus.OK:
            raise BenchmarkError(f"{verb} was answered {answer.status}: {page.decode()}")


def _command(server: Running, load: Sequence[str], bench: Bench) -> list[str]:
    seconds = f"{max(2.0, 2 * bench.plan.load_seconds):g}s"
    asked = [f"127.0.0.1:{server.port}", headline.NAME, *load, "--connections", "4"]
    program = [sys.executable, "-m", "tensorwire", "bench", *asked, "--duration", seconds]
    return ["taskset", "-c", str(bench.cores.load), *program, "--json"]


def _lap(line: Sequence[str]) -> Latency:
    done = subprocess.run(line, capture_output=True, text=True, timeout=LOAD_SECONDS)
    if done.returncode != 0:
        raise BenchmarkError(f"{shlex.join(line)} failed: {done.stderr.strip()}")
    [lap] = json.loads(done.stdout)["runs"]
    latency = lap["latency_ms"]
    return Latency(latency["p50"], latency["p99"], 0)
