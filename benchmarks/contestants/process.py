"""A child process with its output in work/logs, ended by its id."""

import os
import subprocess
import time
from collections.abc import Iterator, Mapping

from paths import WORK
from trouble import BenchmarkError

STOP_SECONDS = 15.0
# TensorFlow says a lot at import; and none of this is about other devices.
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}


class Process:
    """Runs from its making to `end`. `key` names it in messages and its logs;
    `listens`: it reads what it is told."""

    def __init__(
        self,
        key: str,
        command: list[str],
        environment: Mapping[str, str],
        listens: bool = False,
    ) -> None:
        self.key = key
        self._output = WORK / "logs" / f"{key}.out"
        self._errors = WORK / "logs" / f"{key}.err"
        self._output.parent.mkdir(parents=True, exist_ok=True)
        with self._output.open("wb") as output, self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE if listens else subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                env={**os.environ, **QUIET, **environment},
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def first_line(self) -> str | None:
        """The first line of its output, once it is whole."""
        return next(iter(self.lines()), None)

    def lines(self) -> list[str]:
        """The whole lines of its output so far."""
        return self._output.read_text().split("\n")[:-1]

    def tell(self, line: str) -> None:
        """Writes a line to a process that listens."""
        if self._process.stdin is None:
            raise BenchmarkError(f"{self.key} was not started to listen.")
        self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.flush()

    def turns(self, seconds: float, every: float) -> Iterator[None]:
        """A turn `every` so many seconds, for something to be looked at. Raises once
        the process has ended and had one more turn, or after `seconds`."""
        deadline = time.monotonic() + seconds
        while True:
            code = self._process.poll()
            yield
            if code is not None:
                raise BenchmarkError(f"{self.key} ended early with code {code}: {self._reason()}")
            if time.monotonic() > deadline:
                raise BenchmarkError(f"{self.key} took over {seconds:.0f} s: {self._reason()}")
            time.sleep(every)

    def end(self) -> None:
        """SIGTERM, and SIGKILL where it does not go."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(STOP_SECONDS)

    def _reason(self) -> str:
        """The last thing that it wrote to its log."""
        text = self._errors.read_text(errors="replace").strip()
        return text.rpartition("\n")[2] or f"it wrote nothing to {self._errors}"
