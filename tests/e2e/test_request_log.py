"""What `tensorwire serve --log-requests` keeps, as TensorFlow and TensorFlow Serving's own
messages read it, and what it costs the requests: nothing, whatever the disk does."""

import json
import resource
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import json_format

from harness.predict import PredictionClient, predict_request
from harness.queueing import Reading, until
from harness.records import PredictionLog, read_logs, whole_files
from harness.server_process import ServerProcess, model_arguments
from harness.text_client import TextClient

Start = Callable[..., ServerProcess]

KEPT = "tensorwire_request_log_records_total"


def arguments(models: Path, *names: str) -> list[str]:
    return model_arguments({name: models / name for name in names})


def ask(client: PredictionClient, value: float) -> float:
    (answer,) = client.predict("half_plus_two", {"x": np.array([value], np.float32)})["y"]
    return float(answer)


def ask_all(server: ServerProcess, count: int, callers: int = 8) -> int:
    """Sends so many requests from several callers at once; how many were not answered."""
    clients = [PredictionClient(server.channel()) for _ in range(callers)]

    def call(index: int) -> bool:
        try:
            return ask(clients[index % callers], float(index)) != index / 2 + 3
        except Exception:
            return True

    with ThreadPoolExecutor(callers) as pool:
        return sum(pool.map(call, range(count)))


def test_a_log_is_read_by_tensorflow_and_warms_the_model_up(
    models: Path, start: Start, tmp_path: Path
) -> None:
    """Under load nothing is missing and nothing is torn; the file is a warm-up file."""
    started = int(time.time())
    logs = tmp_path / "logs"
    server = start(*arguments(models, "half_plus_two"), "--log-requests", str(logs / "all"))
    server.wait_serving()
    assert ask_all(server, 2000) == 0
    server.stop()
    (file,) = whole_files(logs)
    assert file.name.startswith("all-half_plus_two-") and not list(logs.glob("*.open"))
    records = read_logs(file)
    asked = Counter()
    for record in records:
        metadata, log = record.log_metadata, record.predict_log
        assert metadata.model_spec.name == "half_plus_two"
        assert metadata.model_spec.version.value == 2
        assert metadata.model_spec.signature_name == "serving_default"
        assert list(metadata.saved_model_tags) == ["serve"]
        assert metadata.sampling_config.sampling_rate == 1
        assert started <= metadata.timestamp_secs <= time.time()
        (x,) = tf.make_ndarray(log.request.inputs["x"])
        (y,) = tf.make_ndarray(log.response.outputs["y"])
        assert y == np.float32(x / 2 + 3)
        assert log.response.model_spec.version.value == 2
        asked[float(x)] += 1
    assert asked == Counter(map(float, range(2000)))

    version = tmp_path / "model" / "1"
    shutil.copytree(models / "half_plus_two" / "2", version)
    (version / "assets.extra").mkdir()
    warm = version / "assets.extra" / "tf_serving_warmup_requests"
    with tf.io.TFRecordWriter(str(warm)) as writer:
        for record in records[:1000]:
            writer.write(record.SerializeToString())
    server = start(str(tmp_path / "model"))
    server.wait_serving()
    until(lambda: server.stderr, lambda text: "warmed up with 1000 records" in text)
    server.stop()


def test_the_request_is_kept_as_it_came(models: Path, start: Start, tmp_path: Path) -> None:
    server = start(
        *arguments(models, "half_plus_two"), "--log-requests", f"half_plus_two={tmp_path}/h"
    )
    server.wait_serving()
    client = PredictionClient(server.channel())
    x = tf.make_tensor_proto(np.arange(3, dtype=np.float32))
    request = predict_request("half_plus_two", {"x": x}, version=2, outputs=["y"])
    reply = client.send(request)
    server.stop()
    (record,) = read_logs(*whole_files(tmp_path))
    assert record.predict_log.request == request
    assert record.predict_log.response == reply


def test_large_replies_are_whole(models: Path, start: Start, tmp_path: Path) -> None:
    """Those whose tensors are sent from where they are."""
    server = start(
        *arguments(models, "half_plus_two"), "--log-requests", f"{tmp_path}/h", "--tensor-content"
    )
    server.wait_serving()
    client = PredictionClient(server.channel())
    x = np.arange(100_000, dtype=np.float32)
    client.predict("half_plus_two", {"x": x})
    server.stop()
    (record,) = read_logs(*whole_files(tmp_path))
    np.testing.assert_array_equal(tf.make_ndarray(record.predict_log.request.inputs["x"]), x)
    np.testing.assert_array_equal(
        tf.make_ndarray(record.predict_log.response.outputs["y"]), x / 2 + 3
    )


def test_json_lines(models: Path, start: Start, tmp_path: Path) -> None:
    """Each line is a PredictionLog in protobuf's JSON, with its time before it."""
    server = start(
        *arguments(models, "half_plus_two"),
        "--log-requests", f"{tmp_path}/h", "--log-requests-format", "jsonl",
    )  # fmt: skip
    server.wait_serving()
    client = PredictionClient(server.channel())
    before = time.time()
    x = np.array([1.5, np.nan, -np.inf], np.float32)
    client.predict("half_plus_two", {"x": x})
    client.predict("half_plus_two", {"x": np.float32(7)})
    server.stop()
    (file,) = whole_files(tmp_path, "jsonl")
    first, second = file.read_text().splitlines()
    line = json.loads(first)
    assert before - 1 <= datetime.fromisoformat(line["time"].replace("Z", "+00:00")).timestamp()
    assert 0 < line["duration_ms"] < 30_000
    # Raw bytes are spelled out.
    assert line["predict_log"]["request"]["inputs"]["x"]["float_val"] == [1.5, "NaN", "-Infinity"]
    for text, wanted in ((first, x), (second, np.float32(7))):
        log = json_format.Parse(text, PredictionLog(), ignore_unknown_fields=True)
        assert log.log_metadata.model_spec.version.value == 2
        found = tf.make_ndarray(log.predict_log.request.inputs["x"])
        np.testing.assert_array_equal(found, wanted)
        np.testing.assert_array_equal(
            tf.make_ndarray(log.predict_log.response.outputs["y"]), wanted / 2 + 3
        )


def test_failures_and_other_models_are_not_kept(
    models: Path, start: Start, tmp_path: Path
) -> None:
    server = start(
        *arguments(models, "half_plus_two", "add"), "--log-requests", f"add={tmp_path}/a"
    )
    server.wait_serving()
    client = PredictionClient(server.channel())
    assert ask(client, 1) == 3.5
    with pytest.raises(Exception, match="input size does not match"):
        client.predict("add", {})
    server.stop()
    assert list(tmp_path.glob("*.tfrecord*")) == []


def test_the_text_service_is_kept_as_tensors(
    models: Path, start: Start, tmp_path: Path, text_modules: tuple
) -> None:
    server = start(*arguments(models, "half_plus_two"), "--log-requests", f"{tmp_path}/h")
    server.wait_serving()
    text = TextClient(*text_modules, server.channel())
    assert text.ask("[2, 4]") == ("[4.0, 5.0]", "")
    server.stop()
    (record,) = read_logs(*whole_files(tmp_path))
    log = record.predict_log
    assert log.request.model_spec.name == "half_plus_two"
    np.testing.assert_array_equal(tf.make_ndarray(log.request.inputs["x"]), [2, 4])
    np.testing.assert_array_equal(tf.make_ndarray(log.response.outputs["y"]), [4, 5])


def test_a_share_is_kept(models: Path, start: Start, tmp_path: Path) -> None:
    server = start(
        *arguments(models, "half_plus_two"),
        "--log-requests", f"{tmp_path}/h", "--log-sampling", "0.2",
    )  # fmt: skip
    server.wait_serving()
    assert ask_all(server, 3000) == 0
    server.stop()
    records = read_logs(*whole_files(tmp_path))
    # Six standard deviations around 600.
    assert 469 <= len(records) <= 731
    assert {record.log_metadata.sampling_config.sampling_rate for record in records} == {0.2}


def test_files_rotate_while_it_serves(models: Path, start: Start, tmp_path: Path) -> None:
    server = start(
        *arguments(models, "half_plus_two"),
        "--log-requests", f"{tmp_path}/h",
        "--log-requests-file-size", "10KiB", "--log-requests-files", "3",
    )  # fmt: skip
    server.wait_serving()
    assert ask_all(server, 1000) == 0
    server.stop()
    files = whole_files(tmp_path)
    assert len(files) == 3
    assert all(file.stat().st_size <= 10 * 1024 for file in files)
    assert read_logs(*files)


def written(server: ServerProcess, outcome: str = "written") -> float:
    return Reading(server).total(KEPT, model="half_plus_two", outcome=outcome)


def test_a_disk_that_fills_costs_no_request(models: Path, start: Start, tmp_path: Path) -> None:
    """The limit on a file's size stands for a full disk: writes stop in the middle of a
    record. With room again, it goes on."""
    server = start(*arguments(models, "half_plus_two"), "--log-requests", f"{tmp_path}/h")
    server.wait_serving()
    full = 20_001
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (full, resource.RLIM_INFINITY))
    assert ask_all(server, 3000) == 0
    end = time.monotonic() + 30
    while written(server, "lost_on_disk") == 0:
        assert time.monotonic() < end
        time.sleep(0.05)
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, unlimited)
    before = written(server)
    while written(server) < before + 10:
        assert time.monotonic() < end, server.stderr
        assert ask_all(server, 20) == 0
    lost = written(server, "lost_on_disk")
    kept = written(server)
    server.stop()
    records = read_logs(*whole_files(tmp_path))
    assert len(records) >= kept and lost > 0
    assert server.stderr.count("can't be written") == 1, server.stderr
    assert "File too large" in server.stderr


def test_a_disk_without_room_costs_no_request(models: Path, start: Start, tmp_path: Path) -> None:
    """A folder that nothing can be made in."""
    folder = tmp_path / "logs"
    folder.mkdir()
    server = start(*arguments(models, "half_plus_two"), "--log-requests", f"{folder}/h")
    server.wait_serving()
    folder.rmdir()
    folder.write_text("in the way")
    assert ask_all(server, 500) == 0
    end = time.monotonic() + 30
    while written(server, "lost_on_disk") < 500:
        assert time.monotonic() < end
        time.sleep(0.05)
    server.stop()


def test_a_killed_server_leaves_what_the_next_makes_whole(
    models: Path, start: Start, tmp_path: Path
) -> None:
    server = start(*arguments(models, "half_plus_two"), "--log-requests", f"{tmp_path}/h")
    server.wait_serving()
    assert ask_all(server, 50) == 0
    end = time.monotonic() + 30
    while written(server) < 50:
        assert time.monotonic() < end
        time.sleep(0.05)
    server.signal(signal.SIGKILL)
    server.process.wait(10)
    (left,) = tmp_path.glob("*.open")
    with left.open("ab") as file:
        file.write(b"\x10\0\0\0half a record")
    server = start(*arguments(models, "half_plus_two"), "--log-requests", f"{tmp_path}/h")
    server.wait_serving()
    assert ask_all(server, 1) == 0
    server.stop()
    assert len(read_logs(*whole_files(tmp_path))) == 51


def test_mistakes_are_told_at_the_start(models: Path, start: Start, tmp_path: Path) -> None:
    for given, says in (
        ("nope=/tmp/x", "the models served are half_plus_two"),
        (f"{models}/half_plus_two/1/saved_model.pb/x/h", "is not a directory"),
    ):
        server = start(*arguments(models, "half_plus_two"), "--log-requests", given)
        assert server.wait() == 2
        assert says in server.stderr and "Traceback" not in server.stderr
