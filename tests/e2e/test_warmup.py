"""Warming versions up with their recorded requests: TensorFlow Serving's rules and texts."""

import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_pb2,
    prediction_log_pb2,
)

from harness.predict import TIMEOUT_SECONDS, PredictionClient, predict_request
from harness.queueing import Reading, until
from harness.records import PredictionLog, predict_logs, write_logs
from harness.server_process import ServerProcess

Start = Callable[..., ServerProcess]

FILE = Path("assets.extra", "tf_serving_warmup_requests")
WELL = {"x": np.array([1, 2], np.float32)}


@pytest.fixture
def version(models: Path, tmp_path: Path) -> Path:
    """A version of half_plus_two that a test may add to."""
    folder = tmp_path / "model" / "7"
    shutil.copytree(models / "half_plus_two" / "2", folder)
    return folder


def refused(start: Start, version: Path, *arguments: str) -> str:
    """What a server says that can't serve the version."""
    server = start("--model", f"m={version.parent}", *arguments)
    assert server.wait() == 1, server.report()
    server.assert_no_crash()
    return server.stderr


def serve(start: Start, version: Path, *arguments: str) -> ServerProcess:
    return start("--model", f"m={version.parent}", *arguments).wait_serving()


def told(server: ServerProcess, *parts: str) -> None:
    """Waits until its log says all of this: lines are written by a thread of their own."""
    until(lambda: server.stderr, lambda text: all(part in text for part in parts))


def half(*, name: str = "m", **more: object) -> PredictionLog:
    (log,) = predict_logs([predict_request(name, WELL, **more)])
    return log


def test_without_a_file_nothing_is_run(version: Path, start: Start) -> None:
    server = serve(start, version)
    assert "warmed up" not in server.stderr
    assert Reading(server).total("tensorwire_warmup_records_total") == 0
    server.stop()


def test_records_are_run_before_it_is_served(version: Path, start: Start) -> None:
    """The record's own model and version do not matter; its signature does."""
    logs = [half(), half(name="another", version=99), half(signature="summary")]
    write_logs(version / FILE, logs)
    server = serve(start, version)
    told(server, "model m version 7 warmed up with 3 records")
    found = Reading(server)
    assert found.total("tensorwire_warmup_records_total", path=str(version), code="OK") == 3
    assert found.total("tensorwire_warmup_seconds_total", path=str(version)) > 0
    # They were no requests.
    assert found.total("tensorwire_requests_total") == 0
    assert found.total("tensorwire_batch_rows_count") == 0
    answer = PredictionClient(server.channel()).predict("m", WELL)
    np.testing.assert_array_equal(answer["y"], [3.5, 4])
    server.stop()


@pytest.mark.parametrize(
    ("log", "says"),
    [
        (half(signature="nope"), 'Serving signature key "nope" not found.'),
        (predict_logs([predict_request("m", {})])[0], "input size does not match signature: 0!=1"),
        (
            predict_logs([predict_request("m", {"x": np.array(["a"])})])[0],
            "Expects arg[0] to be float but string is provided",
        ),
        (PredictionLog(), "Unsupported log_type for warmup: 0"),
        (
            PredictionLog(session_run_log=prediction_log_pb2.SessionRunLog()),
            "Unsupported log_type for warmup: 5",
        ),
        (
            PredictionLog(predict_streamed_log=prediction_log_pb2.PredictStreamedLog()),
            "Unsupported log_type for warmup: 7",
        ),
    ],
)  # fmt: skip
def test_a_failing_record_refuses_the_version(
    version: Path, start: Start, log: PredictionLog, says: str
) -> None:
    write_logs(version / FILE, [half(), log])
    said = refused(start, version)
    assert says in said, said
    if "Unsupported" not in says:
        assert f"warmup record 1 of {version / FILE}" in said


def test_a_failing_record_may_be_a_warning(version: Path, start: Start) -> None:
    write_logs(version / FILE, [half(signature="nope"), half()])
    server = serve(start, version, "--warmup-failing", "warn")
    told(server, 'key \\"nope\\" not found.', "warmed up with 2 records", "1 of which failed")
    server.stop()


def test_a_file_that_is_none_may_be_a_warning(version: Path, start: Start) -> None:
    (version / FILE).parent.mkdir()
    (version / FILE).write_text("hello")
    server = serve(start, version, "--warmup-failing", "warn")
    told(server, "truncated record at 0")
    server.stop()


def test_more_than_a_thousand_are_too_many(version: Path, start: Start) -> None:
    write_logs(version / FILE, [half()] * 1001)
    said = refused(start, version)
    text = f"Number of warmup records exceeds the maximum (1000) at {version / FILE}"
    assert text in said, said
    write_logs(version / FILE, [half()] * 1000)
    server = serve(start, version)
    told(server, "warmed up with 1000 records")
    server.stop()


def test_what_is_no_tfrecord_is_data_loss(version: Path, start: Start) -> None:
    """The state of the version says what TensorFlow's own reader says."""
    (version / FILE).parent.mkdir()
    (version / FILE).write_bytes(b"this is not a record, but long enough to be one")
    other = version.parent.parent / "other"
    shutil.copytree(version, other / "1", ignore=shutil.ignore_patterns("assets.extra"))
    server = start("--model", f"m={version.parent}", "--model", f"other={other}")
    server.wait_listening()
    request = get_model_status_pb2.GetModelStatusRequest(model_spec=model_pb2.ModelSpec(name="m"))
    stub = PredictionClient(server.channel()).model
    end = time.monotonic() + TIMEOUT_SECONDS
    while True:
        try:
            (status,) = stub.GetModelStatus(request, timeout=5).model_version_status
            if status.state == get_model_status_pb2.ModelVersionStatus.END:
                break
        except (grpc.RpcError, ValueError):
            pass
        assert time.monotonic() < end
        time.sleep(0.05)
    assert grpc.StatusCode.DATA_LOSS.value[0] == status.status.error_code
    tensorflow = ""
    try:
        list(tf.data.TFRecordDataset(str(version / FILE)))
    except tf.errors.DataLossError as error:
        tensorflow = str(error)
    assert "corrupted record at 0" in tensorflow
    assert status.status.error_message.endswith(
        "corrupted record at 0. Please verify your warmup data is in TFRecord format."
    )
    server.stop()


def test_each_is_run_as_often_as_asked(models: Path, tmp_path: Path, start: Start) -> None:
    """The model counts its runs."""
    version = tmp_path / "model" / "1"
    shutil.copytree(models / "counter" / "1", version)
    write_logs(
        version / FILE, predict_logs([predict_request("counter", {"amount": np.int64(3)})] * 2)
    )
    server = serve(start, version, "--warmup-iterations", "5")
    client = PredictionClient(server.channel())
    (count,) = client.predict("m", {}, signature="read").values()
    assert count == 30
    server.stop()
    server = serve(start, version, "--warmup", "off")
    client = PredictionClient(server.channel())
    (count,) = client.predict("m", {}, signature="read").values()
    assert count == 0
    server.stop()


def test_a_stop_ends_it(models: Path, tmp_path: Path, start: Start) -> None:
    """1,000 records of a second each would take a quarter of an hour."""
    version = tmp_path / "model" / "1"
    shutil.copytree(models / "sleep" / "1", version)
    second = predict_request("sleep", {"milliseconds": np.int32(1000)})
    write_logs(version / FILE, predict_logs([second] * 1000))
    server = start("--model", f"m={version.parent}", "--measure-budget", "0", "--grace", "20s")
    server.wait_listening()
    time.sleep(1)
    server.signal(signal.SIGTERM)
    started = time.monotonic()
    assert server.wait() == 0
    assert time.monotonic() - started < 10
    server.assert_no_crash()
