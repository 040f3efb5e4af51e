"""A server of its own process that serves models from stores, and a client that is not ours."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import predict_pb2

from harness.predict import PredictionClient, predict_request
from harness.server_process import ServerProcess
from harness.stores import (
    S3_ENVIRONMENT,
    Asked,
    FileServer,
    Reply,
    S3Server,
    forget_s3_connections,
    running,
)
from tensorwire.repository.crew import FETCHING_THREADS

Start = Callable[..., ServerProcess]

BUCKET = "models-of-the-tests"


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    server = S3Server(tmp_path_factory.mktemp("s3"))
    try:
        client = server.client()
        client.create_bucket(Bucket=BUCKET)
        client.close()
        yield server
    finally:
        server.stop()


@pytest.fixture
def environment(s3: S3Server, tmp_path: Path) -> dict[str, str]:
    cache = str(tmp_path / "cache")
    return {**S3_ENVIRONMENT, "AWS_ENDPOINT_URL": s3.url, "TENSORWIRE_STORE_CACHE": cache}


def upload(s3: S3Server, folder: Path, prefix: str) -> None:
    client = s3.client()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            key = f"{prefix}/{path.relative_to(folder).as_posix()}"
            client.upload_file(str(path), BUCKET, key)
    client.close()


def wait_for_version(client: PredictionClient, model: str, number: int) -> None:
    """Until it answers; every call until then must be answered by another version."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        reply = client.send(request_to(model))
        if reply.model_spec.version.value == number:
            return
        time.sleep(0.05)
    raise AssertionError(f"version {number} is not served")


def request_to(model: str) -> predict_pb2.PredictRequest:
    return predict_request(model, {"x": np.float32([1.0])})


def wait_for_line(server: ServerProcess, part: str) -> None:
    """Until its log says so."""
    end = time.monotonic() + 30
    while part not in server.stderr:
        assert time.monotonic() < end, server.report()
        time.sleep(0.05)


def answered(server: ServerProcess, model: str) -> tuple[int, list[float]]:
    """The version that answers, and what."""
    reply = PredictionClient(server.channel()).send(request_to(model))
    return reply.model_spec.version.value, list(reply.outputs["y"].float_val)


def test_a_new_version_in_s3_is_served(
    s3: S3Server, environment: dict[str, str], models: Path, start: Start
) -> None:
    source = models / "half_plus_two" / "1"
    upload(s3, source, "half/1")
    arguments = (
        "--model",
        f"half=s3://{BUCKET}/half",
        "--store-poll-interval",
        "0.2s",
        "--poll-interval",
        "0.2s",
    )
    server = start(*arguments, environment=environment).wait_serving("half")
    assert answered(server, "half") == (1, [2.5])
    upload(s3, source, "half/2")
    wait_for_version(PredictionClient(server.channel()), "half", 2)
    server.stop()
    # Started again, it serves what it has: the store is only asked for its list.
    again = start(*arguments, environment=environment).wait_serving("half")
    assert answered(again, "half") == (2, [2.5])
    again.stop()
    assert "downloaded s3://models-of-the-tests/half/2" in server.stderr
    assert "downloaded" not in again.stderr
    assert "secret-of-the-tests" not in server.stderr + again.stderr


def test_an_archive_over_http_is_served_and_followed(
    environment: dict[str, str], models: Path, start: Start, tmp_path: Path
) -> None:
    half = models / "half_plus_two"
    one, two = (
        Path(shutil.make_archive(str(tmp_path / name), "gztar", half / name)).read_bytes()
        for name in ("1", "2")
    )
    with running(FileServer(files={"/half.tar.gz": one})) as web:
        url = f"{web.url}/half.tar.gz?token=secret1"
        server = start(
            url,
            "--store-poll-interval",
            "0.2s",
            "--poll-interval",
            "0.2s",
            environment=environment,
        )
        server.wait_serving("half")
        assert answered(server, "half") == (1, [2.5])
        # The same version, of other content: exchanged while calls go on.
        web.files["/half.tar.gz"] = two
        end = time.monotonic() + 60
        while answered(server, "half") != (1, [3.5]):
            assert time.monotonic() < end, server.report()
        server.stop()
    assert "secret1" not in server.stderr + server.stdout


def test_a_store_that_is_gone_leaves_what_is_served(
    environment: dict[str, str], models: Path, start: Start, tmp_path: Path
) -> None:
    packed = shutil.make_archive(str(tmp_path / "half"), "zip", models / "half_plus_two" / "1")
    with running(FileServer(files={"/half.zip": Path(packed).read_bytes()})) as web:
        server = start(
            f"{web.url}/half.zip",
            "--store-poll-interval",
            "0.1s",
            "--poll-interval",
            "0.1s",
            environment=environment,
        )
        server.wait_serving("half")
        web.files.clear()
        asked = len(web.asked)
        end = time.monotonic() + 40
        while len(web.asked) < asked + 4 and time.monotonic() < end:
            time.sleep(0.05)
        assert len(web.asked) >= asked + 4
        assert answered(server, "half") == (1, [2.5])
    server.stop()
    assert "half.zip does not exist (the server answered 404" in server.stderr


def test_one_missing_store_holds_up_no_other(
    environment: dict[str, str], models: Path, start: Start
) -> None:
    local = f"local={models / 'half_plus_two'}"
    gone = "gone=s3://no-bucket-of-this-name/m"
    server = start("--model", local, "--model", gone, environment=environment)
    server.wait_serving("local")
    with pytest.raises(grpc.RpcError):
        answered(server, "gone")
    wait_for_line(server, "s3://no-bucket-of-this-name/m does not exist")
    assert answered(server, "local") == (2, [3.5])
    server.stop()


def test_a_model_in_a_program(
    s3: S3Server, environment: dict[str, str], models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tensorwire as tw

    forget_s3_connections()
    upload(s3, models / "half_plus_two" / "1", "once/5")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with tw.Model(f"s3://{BUCKET}/once") as model:
        assert model.metadata.version == 5
        assert model.predict({"x": np.float32([1.0])})["y"].tolist() == [2.5]
    forget_s3_connections()


def test_stores_that_send_slowly_hold_up_no_local_model(
    environment: dict[str, str], models: Path, start: Start, tmp_path: Path
) -> None:
    going_on = threading.Event()

    def hang(asked: Asked, reply: Reply) -> None:
        if asked.method == "GET":
            going_on.wait(100)

    half, local = models / "half_plus_two", tmp_path / "local"
    shutil.copytree(half / "1", local / "1")
    names = [f"slow{number}" for number in range(FETCHING_THREADS + 1)]
    with running(FileServer(files={f"/{name}.keras": b"PK\x03\x04" for name in names})) as web:
        web.meddle = hang
        places = [f"{name}={web.url}/{name}.keras" for name in names]
        given = [part for each in (*places, f"local={local}") for part in ("--model", each)]
        server = start(*given, "--poll-interval", "0.2s", environment=environment)
        try:
            server.wait_serving("local")
            end = time.monotonic() + 60
            while [each.method for each in web.asked].count("GET") < FETCHING_THREADS:
                assert time.monotonic() < end, server.report()
                time.sleep(0.05)
            shutil.copytree(half / "2", local / "2")
            wait_for_version(PredictionClient(server.channel()), "local", 2)
            # Nor do they hold up the end.
            started = time.monotonic()
            server.stop()
            assert time.monotonic() - started < 5.0
        finally:
            going_on.set()
