"""What can be served and what can't: every kind of path, and the sentence it gets."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import get_model_status_pb2

from harness.predict import TIMEOUT_SECONDS, PredictionClient, refused
from harness.server_process import CRASH, START_SECONDS, model_arguments, serve_command

State = get_model_status_pb2.ModelVersionStatus
X = {"x": np.array([2.0], np.float32)}


def versions(client: PredictionClient, model: str) -> list[State]:
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = model
    reply = client.model.GetModelStatus(request, timeout=TIMEOUT_SECONDS)
    return list(reply.model_version_status)


@pytest.fixture
def fails() -> Callable[..., str]:
    """`serve` with these arguments ends with status 1; answers its one sentence."""

    def run(*arguments: object) -> str:
        done = subprocess.run(
            serve_command([*map(str, arguments), "--port", "0"]),
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            check=False,
        )
        everything = done.stdout + done.stderr
        assert done.returncode == 1, everything
        assert not CRASH.search(everything)
        said = [line for line in done.stderr.splitlines() if not _is_log_line(line)]
        (sentence,) = said
        assert sentence.startswith("error: ")
        return sentence

    return run


def _is_log_line(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


@pytest.fixture
def serve(start):
    """A server with these paths and arguments, and its client."""

    def run(*arguments: object) -> tuple[PredictionClient, object]:
        process = start(*map(str, arguments)).wait_serving()
        return PredictionClient(process.channel()), process

    return run


# Paths that work.


def test_a_directory_of_versions(models: Path, serve) -> None:
    """The highest is served, under the directory's name."""
    client, process = serve(models / "half_plus_two")
    assert client.predict("half_plus_two", X)["y"] == np.float32(4)
    assert [(v.version, v.state) for v in versions(client, "half_plus_two")] == [
        (2, State.AVAILABLE)
    ]
    process.stop()


def test_versions_are_numbers_not_names(models: Path, serve, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    first, second = models / "half_plus_two" / "1", models / "half_plus_two" / "2"
    shutil.copytree(first, folder / "00000123")
    shutil.copytree(second, folder / "9")
    shutil.copytree(second, folder / "backup")
    (folder / "1000").write_text("a file is no version")
    client, process = serve(folder)
    assert client.predict("model", X)["y"] == np.float32(3)
    assert client.predict("model", X, version=123)["y"] == np.float32(3)
    with refused(grpc.StatusCode.NOT_FOUND, "Servable not found for request: Specific(model, 9)"):
        client.predict("model", X, version=9)
    process.stop()


def test_a_saved_model_directory(models: Path, serve) -> None:
    """Version 1, whatever the directory is called."""
    client, process = serve("--model", f"plain={models / 'half_plus_two' / '2'}")
    assert client.predict("plain", X, version=1)["y"] == np.float32(4)
    process.stop()


def test_several_models(models: Path, serve) -> None:
    client, process = serve(
        models / "add",
        models / "half_plus_two",
        "--model",
        f"second={models / 'half_plus_two' / '1'}",
    )
    assert client.predict("half_plus_two", X)["y"] == np.float32(4)
    assert client.predict("second", X)["y"] == np.float32(3)
    assert client.predict("add", {"a": X["x"], "b": X["x"]})["sum"] == np.float32(4)
    process.stop()


@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_a_keras_file(models: Path, start, tmp_path: Path, ending: str) -> None:
    """Exported once into a cache; the second start finds it there."""
    features = np.array([[0.1, -2.0, 3.0, 0.5], [1, 2, 3, 4]], np.float32)
    exported = tf.saved_model.load(str(models / "keras_export" / "1"))
    expected = exported.signatures["serving_default"](features=tf.constant(features))["output_0"]
    cache = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    said = []
    for _ in range(2):
        process = start(str(models / f"keras_model.{ending}"), environment=cache).wait_serving()
        answer = PredictionClient(process.channel()).predict("keras_model", {"features": features})
        (scores,) = answer.values()
        np.testing.assert_allclose(scores, expected.numpy(), rtol=1e-5)
        process.stop()
        said.append(process.stderr)
    assert any((tmp_path / "cache").rglob("saved_model.pb"))
    assert sum("exported once" in text for text in said) == 1
    assert "exported once" in said[0]


# Paths that don't.


def test_nothing_there(fails, tmp_path: Path) -> None:
    assert str(tmp_path / "nowhere") in fails(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["empty", "not_a_model", "not_a_model/notes.txt"])
def test_no_model(fails, models: Path, name: str) -> None:
    assert str(models / name) in fails(models / name)


@pytest.mark.parametrize("name", ["corrupt", "missing_variables", "missing_index"])
def test_a_broken_model(fails, models: Path, name: str) -> None:
    sentence = fails(models / name)
    assert name in sentence
    assert {"corrupt": "saved_model.pb"}.get(name, "variables") in sentence


@pytest.mark.parametrize("name", ["corrupt", "missing_variables"])
def test_a_broken_model_directory(fails, models: Path, name: str) -> None:
    """The SavedModel directory itself, not the directory above it."""
    assert name in fails(models / name / "1")


def test_an_empty_graph_file(fails, tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "saved_model.pb").touch()
    assert "saved_model.pb" in fails(tmp_path)


def test_a_truncated_graph_file(fails, models: Path, tmp_path: Path) -> None:
    """Cut at several places; some of them leave a valid, shorter message."""
    folder = tmp_path / "cut"
    whole = (models / "add" / "1" / "saved_model.pb").read_bytes()
    for size in (1, 7, len(whole) // 3, len(whole) - 1):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(models / "add" / "1", folder)
        (folder / "saved_model.pb").write_bytes(whole[:size])
        assert "cut" in fails(folder)


def test_variables_cut_short(fails, models: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cut"
    shutil.copytree(models / "mlp" / "1", folder)
    (data,) = (folder / "variables").glob("variables.data-*")
    data.write_bytes(data.read_bytes()[:100])
    assert "cut" in fails(folder)


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04 not a zip", b"\x89HDF\r\n\x1a\n no", b"text"]
)
@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_a_broken_keras_file(fails, tmp_path: Path, content: bytes, ending: str) -> None:
    file = tmp_path / f"model.{ending}"
    file.write_bytes(content)
    assert str(file) in fails(file)


def test_two_models_of_one_name(models: Path, tmp_path: Path) -> None:
    """Wrong usage: nothing is started."""
    paths = [str(models / "add"), str(tmp_path / "add")]
    done = subprocess.run(
        serve_command([*paths, "--port", "0"]),
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )
    assert done.returncode == 2
    assert "would both be called 'add'" in done.stderr


def test_nothing_but_broken_models(fails, models: Path) -> None:
    sentence = fails(models / "corrupt", models / "empty")
    assert "corrupt" in sentence
    assert "empty" in sentence


# One broken model among healthy ones.

BROKEN = {
    "corrupt": "saved_model.pb",
    "missing_variables": "variables",
    "empty": "empty",
    "not_a_model": "not_a_model",
    "nowhere": "nowhere",
}


def test_broken_models_beside_healthy_ones(models: Path, start) -> None:
    names = ["half_plus_two", *BROKEN, "add"]
    process = start(*model_arguments({name: models / name for name in names}))
    process.wait_serving("half_plus_two").wait_serving("add")
    client = PredictionClient(process.channel())
    health = health_pb2_grpc.HealthStub(process.channel())
    client.is_well()
    for name, word in BROKEN.items():
        (version,) = versions(client, name)
        assert (version.version, version.state) == (1, State.END)
        assert version.status.error_code != 0
        assert word in version.status.error_message
        text = f"Servable not found for request: Latest({name})"
        with refused(grpc.StatusCode.NOT_FOUND, text):
            client.predict(name, X)
        request = health_pb2.HealthCheckRequest(service=name)
        answer = health.Check(request, timeout=TIMEOUT_SECONDS)
        assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING
    everything = health.Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_SECONDS)
    assert everything.status == health_pb2.HealthCheckResponse.NOT_SERVING
    client.is_well()
    assert all(name in process.stderr for name in BROKEN)
    process.stop()


# Usage.


@pytest.mark.parametrize(
    "arguments",
    [[], ["--no-such-option"], ["--port", "99999", "x"], ["--port", "no", "x"], ["--model", "x"]],
    ids=" ".join,
)
def test_wrong_usage(arguments: list[str]) -> None:
    done = subprocess.run(
        serve_command(arguments), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.strip()
    assert not CRASH.search(done.stderr)


def test_a_port_that_is_taken(fails, models: Path, server) -> None:
    done = subprocess.run(
        serve_command([str(models / "add"), "--port", str(server.port)]),
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )
    assert done.returncode == 1
    assert str(server.port) in done.stderr.splitlines()[-1]
