"""How `tensorwire model-server` starts, fails and ends, as tools around TensorFlow Serving
see it."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import grpc
import numpy as np
import pytest

from harness.model_server import (
    RUNNING,
    ModelServer,
    failed_start,
    free_port,
    model_server_command,
)
from harness.predict import PredictionClient
from harness.server_process import START_SECONDS

Serve = Callable[..., ModelServer]


def details(server: ModelServer, model: str) -> str:
    """What the server says to a request for a model."""
    try:
        PredictionClient(server.channel()).predict(model, {"x": np.float32([1])})
    except grpc.RpcError as error:
        return str(error.details())
    return "OK"


def get(port: int, path: str) -> tuple[int, object]:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as calls:
        calls.request("GET", path)
        response = calls.getresponse()
        return response.status, json.loads(response.read())


def test_it_serves_as_tools_expect_it(serve: Serve, half: str) -> None:
    rest = free_port()
    server = serve(half, "--model_name=half", f"--rest_api_port={rest}")
    # The loop that TensorFlow Serving's own tests wait with.
    end = time.monotonic() + START_SECONDS
    while "Servable" not in details(server, "intentionally_missing_model"):
        assert server.process.poll() is None, server.report()
        assert time.monotonic() < end, server.report()
    outputs = PredictionClient(server.channel()).predict("half", {"x": np.float32([1, 2])})
    np.testing.assert_allclose(outputs["y"], [3.5, 4.0])
    lines = server.wait_log("Entering the event loop ...").stderr.splitlines()
    ends = [line.rstrip() for line in lines]
    for text in (
        f"Running gRPC ModelServer at {server.address.replace('127.0.0.1', '0.0.0.0')} ...",
        f"Exporting HTTP/REST API at:localhost:{rest} ...",
        "Entering the event loop ...",
    ):
        assert sum(line.endswith(text) for line in ends) == 1, lines
    # REST at its own port and beside gRPC, over both kinds of addresses.
    expected = {"state": "AVAILABLE", "version": "2"}
    for port in (rest, server.port):
        status, answer = get(port, "/v1/models/half")
        assert (status, answer["model_version_status"][0]["state"]) == (200, expected["state"])
    server.stop()


def test_relative_paths_and_the_default_name(serve: Serve, models: Path) -> None:
    path = os.path.relpath(models / "half_plus_two")
    server = serve(f"--model_base_path={path}").wait_listening()
    assert details(server, "default") == "OK"
    server.stop()


def test_the_ports_open_when_the_model_is_there(
    serve: Serve, models: Path, tmp_path: Path
) -> None:
    base = tmp_path / "later"
    base.mkdir()
    rest = free_port()
    server = serve(f"--model_base_path={base}", f"--rest_api_port={rest}")
    server.wait_log(str(base))
    for port in (server.port, rest):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0
    assert RUNNING not in server.stderr
    shutil.copytree(models / "half_plus_two" / "1", base / "7")
    server.wait_listening()
    assert get(rest, "/v1/models/default/versions/7")[0] == 200
    server.stop()


def test_a_missing_path_is_waited_for_until_it_is_told_to_stop(
    serve: Serve, tmp_path: Path
) -> None:
    server = serve(f"--model_base_path={tmp_path}/none").wait_log(f"{tmp_path}/none")
    time.sleep(0.5)
    assert server.process.poll() is None
    server.stop()
    assert RUNNING not in server.stderr


def test_a_broken_model_ends_it_after_its_retries(serve: Serve, models: Path) -> None:
    server = serve(
        f"--model_base_path={models / 'corrupt'}",
        "--model_name=bad",
        "--max_num_load_retries=2",
        "--load_retry_interval_micros=50000",
    )
    assert server.wait(START_SECONDS) == 255
    last = server.stdout.splitlines()[-1]
    assert last.startswith(
        "Failed to start server. Error: UNKNOWN: 1 servable(s) did not become available: "
        "{{name: bad version: 1} due to error: "
    )
    assert last.endswith(", }")
    assert server.stderr.count("bad version 1 can't be served") == 3, server.stderr
    server.assert_no_crash()


def test_retries_do_not_hold_up_the_end(serve: Serve, models: Path) -> None:
    server = serve(f"--model_base_path={models / 'corrupt'}").wait_log("can't be served")
    begun = time.monotonic()
    server.stop()
    # The next try would be a minute after the first.
    assert time.monotonic() - begun < 20
    assert RUNNING not in server.stderr


def test_a_fault_of_the_flags_is_one_line() -> None:
    prefix = "Failed to start server. Error: INVALID_ARGUMENT: "
    assert failed_start() == (
        f"{prefix}Both server_options.model_base_path and server_options.model_config_file are "
        "empty!"
    )
    assert failed_start("--port=0", "--model_base_path=/x") == (
        f"{prefix}At least one of server_options.grpc_port or server_options.grpc_socket_path "
        "must be set."
    )
    empty = failed_start("--model_base_path=/x", "--model_name=")
    assert empty == f"{prefix}--model_name can't be empty"
    assert failed_start("--model_base_path=/x", "--use_alts_credentials").startswith(
        "Failed to start server. Error: UNIMPLEMENTED: --use_alts_credentials: "
    )
    assert "--port=8500 " in failed_output("--help")
    assert "--port=8500 " in failed_output("--port=http")


def failed_output(*flags: str) -> str:
    done = subprocess.run(
        model_server_command(flags), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 255
    return done.stdout


def test_a_port_that_is_taken(half: str) -> None:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line = failed_start(half, f"--port={port}")
    assert line.startswith("Failed to start server. Error: ")
    assert str(port) in line


def test_versions_are_printed() -> None:
    program = "from tensorwire.model_server import main; exit(main())"
    done = subprocess.run(
        # Nothing else that is wrong matters.
        [sys.executable, "-c", program, "--version", "--port=0", "--unheard_of"],
        env={**os.environ, "TENSORWIRE_REST_PORT": "8500"},
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=True,
    )
    first, second = done.stdout.splitlines()
    assert first.startswith("TensorFlow ModelServer: ")
    assert second.startswith("TensorFlow Library: 2.")


def test_the_command_line_of_the_docker_image(serve: Serve, models: Path) -> None:
    environment = {"MODEL_NAME": "half_plus_two", "MODEL_BASE_PATH": str(models)}
    port, rest = free_port(), free_port()
    # What the image's entrypoint has the shell make of it, with the ports as flags.
    script = (
        f"exec {sys.executable} -m tensorwire model-server --port={port} --rest_api_port={rest} "
        '--model_name=${MODEL_NAME} --model_base_path=${MODEL_BASE_PATH}/${MODEL_NAME} "$@"'
    )
    process = subprocess.Popen(
        ["bash", "-c", script, "entrypoint", "--enable_batching", "--unheard_of"],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            grpc.channel_ready_future(channel).result(START_SECONDS)
            PredictionClient(channel).predict("half_plus_two", {"x": np.float32([1])})
        assert get(rest, "/v1/models/half_plus_two")[0] == 200
    finally:
        process.send_signal(signal.SIGTERM)
        output = process.communicate(timeout=60)[0]
    assert process.returncode == 0
    assert output.startswith("unknown argument: --unheard_of\nusage: ")


@pytest.mark.parametrize("when", ["first", "loaded"])
def test_a_variable_opens_the_ports_at_once(
    serve: Serve, models: Path, tmp_path: Path, when: str
) -> None:
    config = tmp_path / "models.config"
    entries = "".join(
        f'config {{ name: "{name}" base_path: "{path}" model_platform: "tensorflow" }}'
        for name, path in (("good", models / "half_plus_two"), ("gone", tmp_path / "gone"))
    )
    config.write_text(f"model_config_list {{ {entries} }}")
    environment = {"TENSORWIRE_LISTEN_WHEN": when}
    server = serve(f"--model_config_file={config}", environment=environment)
    server.wait_log("model good version 2 loaded")
    if when == "first":
        server.wait_listening()
        assert details(server, "good") == "OK"
    else:
        time.sleep(0.5)
        assert not server.is_listening()
    server.stop()
