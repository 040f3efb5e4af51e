"""Flags about the requests that a version is warmed up with."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from harness.model_server import ModelServer, failed_start
from harness.predict import PredictionClient, predict_request
from harness.records import predict_logs, write_logs

Serve = Callable[..., ModelServer]

FILE = Path("assets.extra", "tf_serving_warmup_requests")


@pytest.fixture
def recorded(models: Path, tmp_path: Path) -> Path:
    """A model that counts, and a file of three requests that count one each."""
    base = tmp_path / "recorded"
    shutil.copytree(models / "counter" / "1", base / "1")
    requests = [predict_request("any", {"amount": np.int64(1)})] * 3
    write_logs(base / "1" / FILE, predict_logs(requests))
    return base


@pytest.mark.parametrize(
    ("flags", "runs"),
    [
        ([], 3),
        (["--num_request_iterations_for_warmup=4"], 12),
        (["--num_request_iterations_for_warmup=-1"], 3),
        (["--enable_model_warmup=false"], 0),
    ],
)
def test_warmup(serve: Serve, recorded: Path, flags: list[str], runs: int) -> None:
    server = serve(f"--model_base_path={recorded}", *flags).wait_listening()
    client = PredictionClient(server.channel())
    assert client.predict("default", signature="read")["total"] == runs
    server.stop()


def test_a_failing_record_fails_the_version_unless_it_is_not_run(
    serve: Serve, recorded: Path
) -> None:
    bad = predict_logs([predict_request("any", {"nothing": np.float32([1])})])
    write_logs(recorded / "1" / FILE, bad)
    base = f"--model_base_path={recorded}"
    line = failed_start(base, "--max_num_load_retries=0")
    assert line.startswith(
        "Failed to start server. Error: UNKNOWN: 1 servable(s) did not become available: "
        "{{name: default version: 1} due to error: "
    )
    server = serve(base, "--enable_model_warmup=false").wait_listening()
    server.stop()
