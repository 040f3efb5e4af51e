"""`tensorwire serve --config`: what the file says at the start, and while it serves."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import grpc
import numpy as np
import pytest

from harness.predict import PredictionClient, predict_request, refused
from harness.server_process import START_SECONDS, ServerProcess, serve_command
from harness.traffic import Traffic, half_plus_two
from harness.versions import until, until_available

Start = Callable[..., ServerProcess]

X = {"x": np.float32([1, 2])}

SERVER = """
[server]
port = 1
config_poll_interval = "100ms"
poll_interval = "100ms"
measure_budget = 0
log_requests = { half = "./logs/half" }
"""

HALF = """
[models.half]
path = "models/half_plus_two"
versions = [1, 2]
labels = { stable = 1, canary = 2 }
batching = { max_batch_size = 2 }
"""

ADD = """
[models.add]
path = "./models/add"
"""


@pytest.fixture
def file(models: Path, tmp_path: Path) -> Path:
    """In a folder of its own, beside the models that it names."""
    for name in ("half_plus_two", "add"):
        shutil.copytree(models / name, tmp_path / "config" / "models" / name)
    return tmp_path / "config" / "tensorwire.toml"


def labelled(client: PredictionClient, label: str) -> list[float]:
    request = predict_request("half", X)
    request.model_spec.version_label = label
    return list(client.send(request).outputs["y"].float_val)


def test_what_it_says_at_the_start(start: Start, file: Path) -> None:
    file.write_text(SERVER + HALF + ADD)
    # Paths in it are relative to its folder, wherever the server is started; its port counts
    # less than the flag that asks for any.
    process = start("--config", os.path.relpath(file)).wait_serving()
    client = PredictionClient(process.channel())
    until_available(client, "half", 1, 2)
    assert (labelled(client, "stable"), labelled(client, "canary")) == ([2.5, 3.0], [3.5, 4.0])
    with refused(
        grpc.StatusCode.INVALID_ARGUMENT, "Task size 3 is larger than maximum input batch size 2"
    ):
        client.predict("half", {"x": np.zeros(3, np.float32)})
    assert client.predict("add", {"a": X["x"], "b": X["x"]})["sum"].tolist() == [2.0, 4.0]
    process.stop()
    assert [each.suffix for each in (file.parent / "logs").iterdir()] == [".tfrecord"]


def replace(file: Path, text: str) -> None:
    """Written whole, as editors do."""
    partial = file.with_suffix(".partial")
    partial.write_text(text)
    partial.replace(file)


def test_it_is_followed(start: Start, file: Path) -> None:
    file.write_text(SERVER + HALF)
    process = start("--config", str(file)).wait_serving()
    client = PredictionClient(process.channel())
    with Traffic([process.channel()], half_plus_two("half")) as traffic:
        replace(file, SERVER + HALF + ADD)
        until(lambda: "model add version 1 loaded" in process.stderr)
        replace(file, SERVER + HALF.replace("labels", "lables") + ADD)
        until(lambda: "has no 'lables'; did you mean 'labels'?" in process.stderr)
        replace(file, SERVER + HALF.replace("[1, 2]", "[2]").replace("stable = 1, ", ""))
        until_available(client, "half", 2)
        with refused(grpc.StatusCode.NOT_FOUND, "Servable not found for request: Latest(add)"):
            until(lambda: client.predict("add", {"a": X["x"], "b": X["x"]}) is None)
    traffic.assert_flawless()
    process.stop()


def test_a_file_of_settings_may_come_to_list_models(start: Start, file: Path) -> None:
    settings = SERVER.replace("half =", "half_plus_two =")
    file.write_text(settings)
    half = file.parent / "models" / "half_plus_two"
    process = start(str(half), "--config", str(file)).wait_serving()
    client = PredictionClient(process.channel())
    replace(file, settings + ADD)
    until(lambda: "model add version 1 loaded" in process.stderr)
    replace(file, settings)
    with refused(grpc.StatusCode.NOT_FOUND, "Servable not found for request: Latest(add)"):
        until(lambda: client.predict("add", {"a": X["x"], "b": X["x"]}) is None)
    client.predict("half_plus_two", X)
    process.stop()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (SERVER + "prot = 1\n" + HALF, "[server] has no 'prot'; did you mean 'port'?"),
        (SERVER + HALF + "[models.half.warmup]\nfail = 1\n", "has no 'fail'"),
        ("[server]\nport = 1\n", "say what to serve"),
    ],
)
def test_what_is_wrong_at_the_start_is_wrong_usage(file: Path, text: str, says: str) -> None:
    file.write_text(text)
    done = subprocess.run(
        serve_command(["--config", str(file)]),
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr
