"""The whole demo, as `make demo` runs it."""

import os
import subprocess
from pathlib import Path

import pytest

from harness.terminal import command_line


@pytest.mark.timeout(300)
def test_demo(tmp_path: Path) -> None:
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run(
        command_line(["demo"]),
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    accuracy = next(line for line in done.stdout.splitlines() if line.startswith("Accuracy"))
    assert 0.97 <= float(accuracy.rpartition(" ")[2]) <= 1
    assert "Requests per second" in done.stdout
    assert 'Prediction: {"label"' in done.stdout
    assert "exit status 0" in done.stdout
