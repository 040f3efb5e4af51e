"""Marks tests by their folder and builds the models they serve, once a session."""

import os
import sys
import tempfile
from pathlib import Path

import pytest

# Before anything imports TensorFlow: it looks for GPUs and talks at import.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

# What these servers measure is not for the user's own, nor theirs for these.
_MEASURES = tempfile.TemporaryDirectory(prefix="tensorwire-measures-")
os.environ["TENSORWIRE_MEASURE_CACHE"] = _MEASURES.name
os.environ["TENSORWIRE_STORE_CACHE"] = str(Path(_MEASURES.name, "stores"))

HERE = Path(__file__).parent
FOLDERS = {
    "unit": "no process, no network, no TensorFlow",
    "integration": "the package in this process",
    "e2e": "a real server process and clients that are not ours",
}

ALONE = {
    "test_batching_knobs",
    "test_bench_cli",
    "test_cancel_races",
    "test_deadlines_in_queue",
    "test_fairness",
    "test_lifecycle",
    "test_limits",
    "test_listeners",
    "test_load",
    "test_load_cycles",
    "test_measuring",
    "test_replay_cli",
    "test_request_batches",
    "test_server_timing",
    "test_stop",
    "test_toml_changes",
}
"""Files whose tests watch the clock, or what came together: beside others they would see
those too."""


def pytest_configure(config: pytest.Config) -> None:
    for name, meaning in FOLDERS.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")
    config.addinivalue_line("markers", "alone: has the machine to itself")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for name in FOLDERS:
            if item.path.is_relative_to(HERE / name):
                item.add_marker(name)
        if item.path.stem in ALONE:
            item.add_marker("alone")


@pytest.fixture(scope="session")
def models() -> Path:
    """The folder of built models, `NAME/VERSION` in it; see tests/models."""
    import subprocess

    # A process of its own: the tests' own TensorFlow stays as a user's would be.
    maker = HERE / "models" / "make_models.py"
    done = subprocess.run(
        [sys.executable, str(maker)], capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    return HERE / "models" / "built"
