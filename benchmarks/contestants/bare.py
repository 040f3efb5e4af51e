"""TensorFlow's C API with nothing around it: benchmarks/bare, compiled and asked."""

import importlib.util
import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from contestants.process import Process
from paths import BENCHMARKS, WORK
from saved_model import SavedModel
from trouble import BenchmarkError

ANSWER_SECONDS = 120.0
POLL_SECONDS = 0.002
# A ConfigProto as `tensorwire serve` makes it where no flag changes it:
# allow_soft_placement, optimize_for_static_graph, disable_output_partition_graphs.
SESSION_CONFIG = bytes([0x38, 1, 0x82, 0x01, 4, 0x60, 1, 0x70, 1])


@dataclass(frozen=True)
class Way:
    """How runs are made: rows in each, threads that make them, and whether TensorFlow's
    inter-op pool executes them or the thread itself."""

    batch: int
    callers: int
    pool: bool

    def __str__(self) -> str:
        threads = "1 caller" if self.callers == 1 else f"{self.callers} callers"
        return f"batch {self.batch}, {threads}, {'pool' if self.pool else 'own thread'}"


class Bare:
    """A process that holds a session for each of `folders`, copies of one model, from
    `with` to its end, on all cores."""

    def __init__(self, key: str, model: SavedModel, folders: Sequence[Path]) -> None:
        tensorflow = _tensorflow_directory()
        dimensions = ",".join(map(str, model.shape))
        library = tensorflow / "libtensorflow_cc.so.2"
        tensors = [model.input_tensor, model.output_tensor]
        fixed = [_build(tensorflow), library, SESSION_CONFIG.hex(), model.row_file, dimensions]
        self.command = [str(part) for part in [*fixed, *tensors, *folders]]
        self._key = key
        self._model = model
        self._process: Process | None = None
        self.load_seconds = 0.0
        """What loading the sessions took, all together."""

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._started().pid

    def __enter__(self) -> "Bare":
        self._process = Process(self._key, self.command, {}, listens=True)
        try:
            answer = self._answer(0)
            self.load_seconds = float(answer["load_seconds"])
            for first in answer["first"]:
                wrong = self._model.difference(first)
                if wrong is not None:
                    raise BenchmarkError(f"the bare C API is wrong: {wrong}")
        except BaseException:
            self._process.end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._started().end()

    def rows_per_second(self, way: Way, seconds: float) -> float:
        """Runs the first session for so long."""
        process = self._started()
        known = len(process.lines())
        mode = "pool" if way.pool else "caller"
        process.tell(f"{way.batch} {way.callers} {mode} {seconds:g}")
        return float(self._answer(known)["rows_per_second"])

    def _answer(self, number: int) -> Any:
        process = self._started()
        for _ in process.turns(ANSWER_SECONDS, POLL_SECONDS):
            lines = process.lines()
            if len(lines) > number:
                return json.loads(lines[number])
        raise BenchmarkError(f"{self._key} gave no answer.")

    def _started(self) -> Process:
        if self._process is None:
            raise BenchmarkError(f"{self._key} is not running.")
        return self._process


def _tensorflow_directory() -> Path:
    """Found without importing it."""
    spec = importlib.util.find_spec("tensorflow")
    if spec is None or not spec.submodule_search_locations:
        raise BenchmarkError("TensorFlow is not installed: pip install 'tensorwire[server]'.")
    return Path(spec.submodule_search_locations[0])


def _build(tensorflow: Path) -> Path:
    """Compiles it: half a second, so always."""
    program = WORK / "bare"
    sources = sorted((BENCHMARKS / "bare").glob("*.c"))
    command = ["cc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-isystem", tensorflow / "include"]
    line = [str(part) for part in [*command, "-o", program, *sources, "-lpthread", "-ldl"]]
    try:
        done = subprocess.run(line, capture_output=True, text=True, timeout=ANSWER_SECONDS)
    except FileNotFoundError as error:
        raise BenchmarkError("cc is not installed: it comes with gcc or clang.") from error
    if done.returncode != 0:
        raise BenchmarkError(f"{' '.join(line)} failed: {done.stderr.strip()}")
    return program
