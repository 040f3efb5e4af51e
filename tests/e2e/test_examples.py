"""The examples, run as their own texts say."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.server_process import ServerProcess

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


def run(*command: object, **environment: str) -> str:
    """What it printed."""
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("examples") / "half_plus_two"
    run(EXAMPLES / "make_model.py", folder)
    return folder


@pytest.fixture(scope="module")
def address(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    process = ServerProcess([str(model)], tmp_path_factory.mktemp("server"))
    try:
        yield process.wait_serving().address
        process.stop()
    finally:
        process.kill()


def test_client(address: str) -> None:
    printed = run(EXAMPLES / "client.py", address)
    assert "[2.5 3.  3.5]" in printed
    assert "[4.  4.5]" in printed
    assert "[5.0]" in printed
    assert "as expected: Servable not found" in printed


def test_async_client(address: str) -> None:
    assert "sum of all answers: 2675.0" in run(EXAMPLES / "async_client.py", address)


def test_text_client(address: str, tmp_path: Path) -> None:
    run(
        *("-m", "grpc_tools.protoc", f"-I{ROOT / 'proto'}", f"--python_out={tmp_path}"),
        *(f"--grpc_python_out={tmp_path}", ROOT / "proto" / "prediction_service.proto"),
    )
    printed = run(EXAMPLES / "text_client.py", address, "[1.0, 2.0]", PYTHONPATH=str(tmp_path))
    assert printed == "Prediction: [2.5, 3.0]\n"


def test_a_test_with_a_server(model: Path) -> None:
    command = ("-m", "pytest", "-q", "-p", "no:cacheprovider", EXAMPLES / "test_with_a_server.py")
    assert "2 passed" in run(*command, MODEL=str(model))


def test_serve(model: Path) -> None:
    """It says where it listens, and stops cleanly."""
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLES / "serve.py"), str(model), "0"],
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    try:
        assert process.stderr is not None
        # At its end if it dies; how long it may take is the test's own limit.
        assert any("listening on 127.0.0.1:" in line for line in process.stderr)
        process.terminate()
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.communicate()


def test_own_source(model: Path, tmp_path: Path) -> None:
    """In a program of the test's own: the example says nobody on which port it serves."""
    shutil.make_archive(str(tmp_path / "model"), "zip", model)
    program = (
        "import sys, tensorwire as tw\n"
        "sys.path.append(sys.argv[2])\n"
        "from own_source import ZipSource\n"
        "with tw.Server({'m': ZipSource(sys.argv[1])}, port=0) as server:\n"
        "    with tw.Client(server.address) as client:\n"
        "        print(client.predict('m', {'x': [1.0, 2.0]})['y'])\n"
    )
    printed = run("-c", program, tmp_path / "model.zip", EXAMPLES)
    assert printed == "[2.5 3. ]\n"


def test_own_source_gives_up_a_fetch_that_is_no_longer_wanted(model: Path, tmp_path: Path) -> None:
    shutil.make_archive(str(tmp_path / "model"), "zip", model)
    program = (
        "import sys, tensorwire as tw\n"
        "sys.path.append(sys.argv[2])\n"
        "from own_source import ZipSource\n"
        "source, watcher = ZipSource(sys.argv[1]), tw.FetchWatcher()\n"
        "watcher.cancelled.set()\n"
        "try:\n"
        "    source.fetch(source.versions()[0], watcher)\n"
        "except tw.errors.ModelLoadError as error:\n"
        "    print(error)\n"
    )
    printed = run("-c", program, tmp_path / "model.zip", EXAMPLES)
    assert printed == "it is no longer wanted\n"
