"""Programs whose standard streams are closed, full, or not what they expect."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import tensorwire as tw
from harness.model_server import free_port, model_server_command
from harness.server_process import START_SECONDS, serve_command
from harness.versions import Versions, until

ENDING = """
import logging
from tensorwire import log_handler
from tensorwire.logs import configure_logs
from tensorwire.standard_streams import end_process
# Both wait as long: which of them is first should not matter.
log_handler.FLUSH_SECONDS *= 2
configure_logs("text", "info")
logging.getLogger("tensorwire").info("never read")
print("told")
end_process(0)
"""
X = {"x": np.float32([2.0])}


def closed(command: list[str], *descriptors: int) -> list[str]:
    """The command, begun with these descriptors closed."""
    closing = " ".join(f"{each}>&-" if each else "<&-" for each in descriptors)
    return ["bash", "-c", f'exec "$@" {closing}', "bash", *command]


def wait_for(file: Path, process: subprocess.Popen) -> dict:
    end = time.monotonic() + START_SECONDS
    while not file.exists():
        assert process.poll() is None, process.returncode
        assert time.monotonic() < end
        time.sleep(0.02)
    return json.loads(file.read_text())


@pytest.mark.parametrize("descriptors", [(1,), (2,), (0, 1, 2)])
def test_serve_with_closed_streams(
    models: Path, tmp_path: Path, descriptors: tuple[int, ...]
) -> None:
    ready = tmp_path / "ready.json"
    command = serve_command(
        [str(models / "half_plus_two"), "--port", "0", "--ready-file", str(ready)]
    )
    process = subprocess.Popen(closed(command, *descriptors))
    try:
        with tw.Client(wait_for(ready, process)["address"], timeout=60) as client:
            client.wait_until_ready(60)
            assert client.predict("half_plus_two", X)["y"].tolist() == [4.0]
            # None of its sockets and files has the number of a stream that it prints to.
            for number in descriptors:
                place = Path(f"/proc/{process.pid}/fd/{number}").readlink()
                assert place == Path(os.devnull)
            assert client.predict("half_plus_two", X)["y"].tolist() == [4.0]
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait(10)


def test_model_server_with_closed_streams(models: Path) -> None:
    port = free_port()
    flags = [f"--port={port}", f"--model_base_path={models / 'half_plus_two'}", "--unheard_of"]
    process = subprocess.Popen(closed(model_server_command(flags), 0, 1, 2))
    try:
        with tw.Client(f"127.0.0.1:{port}", timeout=60) as client:
            client.wait_until_ready(START_SECONDS)
            assert client.predict("default", X)["y"].tolist() == [4.0]
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait(10)


def full_pipe() -> tuple[int, int]:
    """Its ends; it takes nothing from the first line on."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, b"." * 4096)
    except BlockingIOError:
        os.set_blocking(writing, True)
    return reading, writing


@pytest.mark.parametrize("flags", ["--help", "--port=x", "--unheard_of", "--model_config_file=/x"])
def test_a_start_that_fails_ends_though_nobody_reads_why(flags: str) -> None:
    reading, writing = full_pipe()
    process = subprocess.Popen(model_server_command([flags]), stdout=writing, stderr=writing)
    os.close(writing)
    try:
        assert process.wait(START_SECONDS) == 255
    finally:
        process.kill()
        process.wait(10)
        os.close(reading)


@pytest.mark.parametrize("program", ["serve", "model-server"])
def test_pipes_that_nobody_reads(models: Path, tmp_path: Path, program: str) -> None:
    """They hold up neither requests nor changes of versions nor the end."""
    versions = Versions(models, tmp_path / "m").add(1)
    ready = tmp_path / "ready.json"
    port = free_port()
    command = {
        "serve": serve_command([str(versions.folder), "--port", str(port)]),
        "model-server": model_server_command(
            [f"--port={port}", f"--model_base_path={versions.folder}", "--model_name=m"]
        ),
    }[program]
    reading, writing = full_pipe()
    environment = {**os.environ, "TENSORWIRE_POLL_INTERVAL": "100ms"}
    process = subprocess.Popen(command, stdout=writing, stderr=writing, env=environment)
    os.close(writing)
    try:
        with tw.Client(f"127.0.0.1:{port}", timeout=60) as client:
            client.wait_until_ready(START_SECONDS)
            for number in (2, 3, 4):
                versions.add(number)
                until(lambda number=number: newest(client) == number)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert not ready.exists()
    finally:
        process.kill()
        process.wait(10)
        os.close(reading)


def test_a_stream_that_nobody_reads_keeps_nothing_from_the_other() -> None:
    environment = {**os.environ, "PYTHONUNBUFFERED": ""}
    reading, writing = full_pipe()
    try:
        done = subprocess.run(
            [sys.executable, "-c", ENDING],
            stdout=subprocess.PIPE,
            stderr=writing,
            env=environment,
            timeout=START_SECONDS,
            check=False,
        )
    finally:
        os.close(writing)
        os.close(reading)
    assert (done.returncode, done.stdout) == (0, b"told\n")


def newest(client: tw.Client) -> int:
    metadata = client.metadata("m")
    assert metadata.version is not None
    return metadata.version


def test_an_argument_that_no_terminal_shows(tmp_path: Path) -> None:
    """Bytes that are not UTF-8, to an output that takes nothing else."""
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8:strict", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        [os.fsencode(each) for each in model_server_command(["--model_config_file=/x"])]
        + [b"--odd\xff"],
        capture_output=True,
        timeout=START_SECONDS,
        env=environment,
        check=False,
    )
    assert done.returncode == 255
    assert done.stdout.startswith(b"unknown argument: --odd\\udcff\n")
    assert b"Error: NOT_FOUND: /x;" in done.stdout
    assert b"Traceback" not in done.stderr
