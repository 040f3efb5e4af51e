"""A client program that makes laps of calls when told to."""

import json
import os
import shlex
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import TextIO

from contestants.process import QUIET, STOP_SECONDS
from paths import WORK
from trouble import BenchmarkError

LAP_SECONDS = 120.0
# Enough calls to know how long one takes.
FIRST_CALLS = 200


@dataclass(frozen=True)
class Program:
    """A script of contestants/clients; `variant` is what its environment says besides."""

    key: str
    title: str
    script: str
    concurrency: int = 1
    variant: Mapping[str, str] = field(default_factory=dict)

    def renamed(self, key: str, title: str) -> "Program":
        """The same under another name."""
        return replace(self, key=key, title=title)


@dataclass(frozen=True)
class Lap:
    """What the program tells of one lap."""

    calls: int
    seconds: float
    cpu_seconds: float
    answer: float
    elements: int


class Lane:
    """The program's process, on one core, from `with` to its end."""

    def __init__(self, program: Program, command: list[str], core: int, expected: float) -> None:
        self.program = program
        self._command = ["taskset", "-c", str(core), *command]
        self._expected = expected
        self._calls = FIRST_CALLS
        self._process: subprocess.Popen[str] | None = None

    @property
    def command_line(self) -> str:
        """As a shell takes it."""
        variant = [f"{key}={value}" for key, value in self.program.variant.items()]
        return " ".join([*variant, shlex.join(self._command)])

    def warm_up(self, lap_seconds: float, start_seconds: float) -> None:
        """Waits for the program, and finds how many calls fill a lap."""
        if self._line(start_seconds) != "ready":
            raise BenchmarkError(f"{self.program.key} did not become ready: see its log.")
        for _ in range(2):
            lap = self.lap()
            self._calls = max(
                self.program.concurrency, round(lap.calls / lap.seconds * lap_seconds)
            )

    def lap(self) -> Lap:
        """One lap; its last answer must be the model's."""
        commands, _ = self._pipes()
        commands.write(f"{self._calls}\n")
        commands.flush()
        told = self._line(LAP_SECONDS)
        try:
            lap = Lap(**json.loads(told))
        except (ValueError, TypeError) as error:
            raise BenchmarkError(f"{self.program.key} told {told!r}: see its log.") from error
        if abs(lap.answer - self._expected) > 1e-4 * max(1.0, abs(self._expected)):
            raise BenchmarkError(
                f"{self.program.key} got {lap.answer}, the model answers {self._expected}."
            )
        return lap

    def __enter__(self) -> "Lane":
        log = WORK / "logs" / f"{self.program.key}.err"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, **QUIET, **self.program.variant},
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        process = self._started()
        commands, _ = self._pipes()
        commands.close()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_SECONDS)

    def _line(self, seconds: float) -> str:
        """The next line of its output; a program that says nothing for so long is ended."""
        process = self._started()
        _, output = self._pipes()
        watchdog = threading.Timer(seconds, process.kill)
        watchdog.start()
        try:
            return output.readline().strip()
        finally:
            watchdog.cancel()

    def _pipes(self) -> tuple[TextIO, TextIO]:
        process = self._started()
        if process.stdin is None or process.stdout is None:
            raise BenchmarkError(f"{self.program.key} has no pipes.")
        return process.stdin, process.stdout

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            raise BenchmarkError(f"{self.program.key} is not running.")
        return self._process
