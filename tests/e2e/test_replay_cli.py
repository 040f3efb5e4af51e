"""`tensorwire replay` and `tensorwire warmup` as a person uses them: what a server was asked is
sent to another and compared, and becomes a warm-up file."""

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from harness.predict import PredictionClient, predict_request
from harness.queueing import Reading, until
from harness.records import predict_logs, read_logs, whole_files, write_logs
from harness.server_process import ServerProcess, model_arguments
from harness.terminal import command_line, in_pipe

Start = Callable[..., ServerProcess]
WARMUP = Path("assets.extra", "tf_serving_warmup_requests")


@pytest.fixture(scope="module", params=["tfrecord", "jsonl"])
def log(
    request: pytest.FixtureRequest,
    models: Path,
    start_for_module: Start,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """What a server with version 1 of half_plus_two, which adds 2, was asked and answered:
    10 requests, of which two are equal, and one of strings."""
    folder = tmp_path_factory.mktemp("log")
    paths = {"half": models / "half_plus_two" / "1", "strings": models / "strings"}
    server = start_for_module(
        *model_arguments(paths),
        "--log-requests", f"half={folder}/half", "--log-requests", f"strings={folder}/half",
        "--log-requests-format", request.param,
    )  # fmt: skip
    server.wait_serving()
    client = PredictionClient(server.channel())
    for value in (0, 0, 1, 2, 3, 4, 5, 6, 7, 8):
        client.predict("half", {"x": np.array([value, 10], np.float32)})
    client.predict("strings", {"text": np.array([b"a", b"\xff"])})
    server.stop()
    (file,) = whole_files(folder, request.param)
    return file


@pytest.fixture(scope="module")
def same(models: Path, start_for_module: Start) -> ServerProcess:
    paths = {"half": models / "half_plus_two" / "1", "strings": models / "strings"}
    return start_for_module(*model_arguments(paths)).wait_serving()


@pytest.fixture(scope="module")
def other(models: Path, start_for_module: Start) -> ServerProcess:
    """With version 2 under the same name, and as another model; it adds 3."""
    paths = dict.fromkeys(("half", "new"), models / "half_plus_two" / "2")
    return start_for_module(*model_arguments(paths)).wait_serving()


def replay(file: Path, server: ServerProcess, *arguments: str, code: int = 0) -> dict[str, Any]:
    done = in_pipe("replay", str(file), server.address, "--json", *arguments)
    assert (done.code, done.err) == (code, ""), done
    document: dict[str, Any] = json.loads(done.out)
    return document


def test_the_same_server_answers_the_same(log: Path, same: ServerProcess) -> None:
    told = replay(log, same, "--speed", "max", "--concurrency", "3")
    assert (told["sent"], told["answered"], told["compared"]) == (11, 11, 11)
    assert (told["different"], told["failed"], told["skipped"]) == (0, 0, 0)
    assert 0 < told["latency_ms"]["p50"] <= told["latency_ms"]["max"]


def test_another_model_differs(log: Path, other: ServerProcess) -> None:
    told = replay(log, other, "--speed", "max", "--count", "10", code=1)
    assert (told["different"], told["failed"]) == (10, 0)
    difference = told["differences"][0]
    assert difference["output"] == "y"
    assert difference["difference"].startswith("[0]: ")
    assert "(and 1 more elements)" in difference["difference"]
    # Within a tolerance of 1 it is as recorded.
    assert replay(log, other, "--speed", "max", "--count", "10", "--tolerance", "1")
    shown = in_pipe("replay", str(log), other.address, "--speed", "max", "--count", "10")
    assert shown.code == 1 and ", y: [0]: 2.0 was recorded, 3.0 answered" in shown.out
    assert f"{log}, " in shown.out


def test_another_name(log: Path, other: ServerProcess) -> None:
    more = ("--speed", "max", "--count", "10", "--tolerance", "1")
    assert replay(log, other, *more, "--model", "new")["answered"] == 10
    told = replay(log, other, *more, "--model", "missing", code=1)
    assert told["errors"] == {"NOT_FOUND": 10}
    assert "Servable not found for request: Latest(missing)" in told["failures"][0]["error"]
    told = replay(log, other, *more, "--signature", "nope", code=1)
    assert told["errors"] == {"FAILED_PRECONDITION": 10}
    assert replay(log, other, *more, "--model", "missing", "--allow-errors", "10")["failed"] == 10


def test_at_its_own_pace_and_at_a_multiple(
    models: Path, start: Start, same: ServerProcess, tmp_path: Path
) -> None:
    logged = start(
        "--model", f"half={models}/half_plus_two/1",
        "--log-requests", f"half={tmp_path}/half", "--log-requests-format", "jsonl",
    )  # fmt: skip
    logged.wait_serving()
    client = PredictionClient(logged.channel())
    for _ in range(2):
        client.predict("half", {"x": np.array([1], np.float32)})
        time.sleep(2)
    client.predict("half", {"x": np.array([1], np.float32)})
    logged.stop()
    (file,) = whole_files(tmp_path, "jsonl")
    assert 4 <= replay(file, same)["seconds"] < 7
    assert 0.4 <= replay(file, same, "--speed", "10")["seconds"] < 3


def test_mistakes(log: Path, same: ServerProcess, tmp_path: Path) -> None:
    bare = write_logs(tmp_path / "bare", predict_logs([predict_request("half", {"x": [1.0]})]))
    done = in_pipe("replay", str(bare), same.address)
    assert done.code == 1 and "has no time" in done.err and "--speed max" in done.err
    told = replay(bare, same, "--speed", "max")
    assert (told["answered"], told["without_reply"], told["compared"]) == (1, 1, 0)
    for arguments, code, says in (
        ((str(tmp_path / "none"), same.address), 2, "does not exist"),
        ((str(log), same.address, "--speed", "fast"), 2, "neither a number nor max"),
    ):
        done = in_pipe("replay", *arguments)
        assert done.code == code and says in done.err
    damaged = tmp_path / "damaged"
    damaged.write_bytes(bare.read_bytes()[:-2])
    done = in_pipe("replay", str(damaged), same.address, "--speed", "max")
    assert done.code == 1 and "record 0 is cut short" in done.err


@pytest.fixture
def version(models: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "half" / "3"
    shutil.copytree(models / "half_plus_two" / "1", folder)
    return folder


def record(version: Path, *arguments: str) -> str:
    done = in_pipe("warmup", "record", str(version.parent), *arguments)
    assert (done.code, done.err) == (0, ""), done
    return done.out


def test_a_warmup_file_of_inputs(version: Path, start: Start, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([1, 2, 3], np.float32))
    assert "1 record in" in record(version, "-i", f"x={tmp_path}/x.npy")
    assert "2 records in" in record(
        version, "-i", f"x={tmp_path}/x.npy", "--batch", "1,4", "--replace"
    )
    logs = [each.predict_log.request for each in read_logs(version / WARMUP)]
    assert [tf.make_ndarray(each.inputs["x"]).tolist() for each in logs] == [[1], [1, 2, 3, 1]]
    assert "3 records in" in record(version, "--signature", "scaled", "--append")
    last = read_logs(version / WARMUP)[-1].predict_log.request
    assert last.model_spec.signature_name == "scaled" and set(last.inputs) == {"x", "factor"}
    server = start("--model", f"m={version.parent}").wait_serving()
    server.stop()
    shown = in_pipe("warmup", "show", str(version / WARMUP)).out
    assert "x float [4]" in shown and "scaled" in shown and "3 records" in shown


def test_a_warmup_file_of_a_log(version: Path, log: Path) -> None:
    record(version, "--from-log", str(log), "--only", "half", "--distinct")
    logs = read_logs(version / WARMUP)
    assert len(logs) == 9
    assert not any(each.predict_log.HasField("response") for each in logs)
    record(version, "--from-log", str(log), "--only", "half", "--count", "3", "--replace")
    assert len(read_logs(version / WARMUP)) == 3


def test_a_warmup_file_of_several_logs(version: Path, log: Path, tmp_path: Path) -> None:
    """By a pattern, as a log has many files: what a shell makes of one is several arguments."""
    for number in (1, 2):
        shutil.copy(log, tmp_path / f"half-{number}{log.suffix}")
    assert "20 records in" in record(version, "--from-log", f"{tmp_path}/half-*", "--only", "half")
    done = in_pipe("warmup", "record", str(version.parent), "--from-log", f"{tmp_path}/none-*")
    assert done.code == 2 and "there is no file" in done.err


def test_a_failing_record_is_not_written(version: Path, log: Path) -> None:
    """One of another model: its inputs do not fit."""
    done = in_pipe("warmup", "record", str(version.parent), "--from-log", str(log))
    assert done.code == 1 and "nothing was written: warmup record 10" in done.err, done.err
    assert not (version / "assets.extra").exists()
    assert "11 records" in record(version, "--from-log", str(log), "--no-check")


def test_too_many_and_in_the_way(version: Path, tmp_path: Path) -> None:
    many = [predict_request("m", {"x": [float(index)]}) for index in range(1001)]
    file = write_logs(tmp_path / "many", predict_logs(many))
    done = in_pipe("warmup", "record", str(version.parent), "--from-log", str(file))
    assert done.code == 2 and "more than the 1000" in done.err
    record(version, "--from-log", str(file), "--count", "1000", "--no-check")
    done = in_pipe("warmup", "record", str(version.parent), "-i", "x=[1]")
    assert done.code == 2 and "--append adds to it, --replace writes over it" in done.err
    done = in_pipe("warmup", "record", str(version.parent), "-i", "x=[1]", "--append")
    assert done.code == 2 and "1001 records, more than the 1000" in done.err
    assert len(read_logs(version / WARMUP)) == 1000


def test_several_models_logs_keep_their_common_pace(
    models: Path, start: Start, same: ServerProcess, tmp_path: Path
) -> None:
    """Each model has files of its own; what was asked in turns is sent in turns."""
    paths = dict.fromkeys(("half", "new"), models / "half_plus_two" / "1")
    logged = start(
        *model_arguments(paths), "--log-requests", f"{tmp_path}/all",
        "--log-requests-format", "jsonl",
    )  # fmt: skip
    logged.wait_serving()
    client = PredictionClient(logged.channel())
    for name in ("new", "half", "new"):
        client.predict(name, {"x": np.array([1], np.float32)})
        time.sleep(0.5)
    logged.stop()
    files = [str(file) for file in whole_files(tmp_path, "jsonl")]
    assert len(files) == 2
    done = in_pipe("replay", *files, same.address, "--model", "half", "--json")
    told = json.loads(done.out)
    assert (told["compared"], told["different"]) == (3, 0)
    # The second file's first request is due before the first file's only one.
    assert told["lateness_ms"] < 400, told


def test_what_was_sent_before_the_damage_counts(
    log: Path, same: ServerProcess, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged"
    damaged.write_bytes(log.read_bytes()[:-9])
    done = in_pipe("replay", str(damaged), same.address, "--speed", "max", "--json")
    told = json.loads(done.out)
    assert done.code == 1 and f"error: {damaged}: " in done.err, done
    assert (told["sent"], told["compared"], told["different"]) == (10, 10, 0)
    assert told["error"] in done.err
    shown = in_pipe("replay", str(damaged), same.address, "--speed", "max")
    assert shown.code == 1 and "as recorded" in shown.out and "error: " in shown.err


def test_an_interrupted_replay_tells_what_it_did(
    models: Path, start: Start, same: ServerProcess, tmp_path: Path
) -> None:
    """What was under way is neither answered nor failed."""
    file = tmp_path / "log"
    x = {"dtype": "DT_FLOAT", "tensor_shape": {"dim": [{"size": 1}]}, "float_val": [1]}
    request = {"model_spec": {"name": "half"}, "inputs": {"x": x}}
    times = ("2026-01-01T00:00:00Z", "2026-01-01T00:10:00Z")
    lines = [{"time": at, "predict_log": {"request": request}} for at in times]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    process = subprocess.Popen(
        command_line(["replay", str(file), same.address, "--json"]), stdout=subprocess.PIPE
    )
    before = Reading(same).total("tensorwire_requests_total", model="half")
    until(
        lambda: Reading(same).total("tensorwire_requests_total", model="half"),
        lambda count: count > before,
    )
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=20)
    told = json.loads(out)
    assert process.returncode == 130 and told["interrupted"]
    assert (told["sent"], told["failed"]) == (1, 0)
