"""Where things lie in the repository."""

from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parent
REPOSITORY = BENCHMARKS.parent
PROTO = REPOSITORY / "proto"
# Ignored by git: frames, logs, generated code, and the results of partial runs.
WORK = BENCHMARKS / "work"
