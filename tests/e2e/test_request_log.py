"""What `tensorwire serve --log-requests` keeps, as TensorFlow and TensorFlow Serving's own
messages read it, and what it costs the requests: nothing, whatever the disk does."""

import json
import resource
import shutil
import signal
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import json_format

from harness.examples import CLASSIFY, REGRESS, ExampleClient, example
from harness.predict import PredictionClient, predict_request
from harness.queueing import Reading, until
from harness.records import PredictionLog, read_logs, whole_files, write_logs
from harness.server_process import ServerProcess, model_arguments
from harness.terminal import in_pipe
from harness.text_client import TextClient

Start = Callable[..., ServerProcess]

WARMUP = Path("assets.extra", "tf_serving_warmup_requests")
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


def test_examples_and_rest_are_kept_and_warm_the_model_up(
    models: Path, start: Start, tmp_path: Path
) -> None:
    """Classify, Regress and MultiInference as they came; REST as a PredictRequest."""
    server = start(*arguments(models, "examples"), "--log-requests", f"examples={tmp_path}/e")
    server.wait_serving()
    client = ExampleClient(server.channel())
    rows = [example(x=[1.0, 2.0], name="ann"), example(x=[0.5, 0.5])]
    classes = client.classify(rows)
    values = client.regress(rows)
    several = client.several(rows, [("serving_default", CLASSIFY), ("values", REGRESS)])
    body = json.dumps({"examples": [{"x": [1.0, 2.0], "name": "ann"}, {"x": [0.5, 0.5]}]})
    address = f"http://127.0.0.1:{server.port}/v1/models/examples:classify"
    with urllib.request.urlopen(address, data=body.encode(), timeout=30) as reply:
        assert len(json.load(reply)["results"]) == 2
    server.stop()
    classified, regressed, both, rest = read_logs(*whole_files(tmp_path))
    assert classified.classify_log.response == classes
    assert list(classified.classify_log.request.input.example_list.examples) == rows
    assert regressed.regress_log.response == values
    assert both.multi_inference_log.response == several
    assert both.log_metadata.model_spec.signature_name == ""
    kept = tf.make_ndarray(rest.predict_log.request.inputs["inputs"])
    assert [tf.train.Example.FromString(each) for each in kept] == rows

    version = tmp_path / "model" / "1"
    shutil.copytree(models / "examples" / "2", version)
    write_logs(version / WARMUP, [classified, regressed, both, rest])
    server = start("--model", f"m={version.parent}").wait_serving()
    until(lambda: server.stderr, lambda text: "warmed up with 4 records" in text)
    again = in_pipe("replay", str(version / WARMUP), server.address, "--model", "m", "--json")
    assert json.loads(again.out)["compared"] == 4 and again.code == 0, again
    server.stop()


def test_a_model_config_files_logging_config(models: Path, start: Start, tmp_path: Path) -> None:
    file = tmp_path / "models.config"
    file.write_text(
        'model_config_list { config { name: "half_plus_two" model_platform: "tensorflow" '
        f'base_path: "{models}/half_plus_two" logging_config {{ '
        f'log_collector_config {{ type: "json" filename_prefix: "{tmp_path}/h" }} '
        "sampling_config { sampling_rate: 1 } } } }"
    )
    server = start("--model-config-file", str(file))
    server.wait_serving()
    assert ask_all(server, 20) == 0
    server.stop()
    (log,) = whole_files(tmp_path, "jsonl")
    assert len(log.read_text().splitlines()) == 20


def test_a_log_that_is_taken_away_is_begun_again(
    models: Path, start: Start, tmp_path: Path
) -> None:
    """Its folder is removed under the server, its file renamed: what comes later is kept."""
    logs = tmp_path / "logs"
    server = start(*arguments(models, "half_plus_two"), "--log-requests", f"{logs}/h")
    server.wait_serving()
    assert ask_all(server, 10) == 0
    until(lambda: written(server), lambda count: count == 10)
    shutil.rmtree(logs)
    assert ask_all(server, 20) == 0
    until(lambda: written(server), lambda count: count == 30)
    (open_file,) = logs.glob("*.open")
    open_file.rename(tmp_path / "taken")
    assert ask_all(server, 5) == 0
    server.stop()
    assert len(read_logs(tmp_path / "taken")) == 20
    assert len(read_logs(*whole_files(logs))) == 5
    assert server.stderr.count("is gone: another is begun") == 2, server.stderr


def test_a_broken_log_keeps_no_version_from_loading(
    models: Path, start: Start, tmp_path: Path
) -> None:
    """A log's folder is looked at when a configuration is taken, and not when a version is
    loaded or described."""
    logs, model = tmp_path / "logs", tmp_path / "model"
    logs.mkdir()
    shutil.copytree(models / "half_plus_two" / "1", model / "1")
    file = tmp_path / "models.config"
    file.write_text(
        'model_config_list { config { name: "half_plus_two" model_platform: "tensorflow" '
        f'base_path: "{model}" logging_config {{ '
        f'log_collector_config {{ filename_prefix: "{logs}/h" }} '
        "sampling_config { sampling_rate: 1 } } } }"
    )
    server = start("--model-config-file", str(file), "--poll-interval", "0.2")
    server.wait_serving()
    logs.rmdir()
    logs.write_text("in the way")
    shutil.copytree(models / "half_plus_two" / "2", tmp_path / "2")
    (tmp_path / "2").rename(model / "2")
    client = PredictionClient(server.channel())
    until(lambda: ask(client, 1), lambda answer: answer == 3.5)
    listed = in_pipe("models", "list", server.address)
    assert listed.code == 0 and "AVAILABLE" in listed.out, listed
    until(lambda: written(server, "lost_on_disk"), lambda count: count > 0)
    server.stop()


@pytest.mark.parametrize("bound", ["queue_records = 5", 'queue_bytes = "2KiB"'])
def test_a_queue_that_is_full_loses_and_counts(
    models: Path, start: Start, tmp_path: Path, bound: str
) -> None:
    """Requests that come faster than they are written are answered all the same, and each
    is either kept or counted."""
    file = tmp_path / "tensorwire.toml"
    file.write_text(
        f'[models.half_plus_two]\npath = "{models}/half_plus_two"\n'
        f'logging = {{ prefix = "./logs/h", {bound} }}\n'
    )
    server = start("--config", str(file))
    server.wait_serving()
    assert ask_all(server, 2000) == 0

    def counts() -> tuple[float, float]:
        return written(server), written(server, "lost_in_queue")

    kept, lost = until(counts, lambda found: sum(found) == 2000)
    assert kept > 0 and lost > 0
    server.stop()
    assert len(read_logs(*whole_files(tmp_path / "logs"))) == kept


def test_a_file_that_takes_no_more_is_followed_by_another(
    models: Path, start: Start, tmp_path: Path
) -> None:
    """Its place may have room where it has none: a limit on the size of each file."""
    server = start(*arguments(models, "half_plus_two"), "--log-requests", f"{tmp_path}/h")
    server.wait_serving()
    most = 5000
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))

    def files() -> list[Path]:
        assert ask_all(server, 50) == 0
        return whole_files(tmp_path)

    until(files, lambda found: len(found) >= 2)
    resource.prlimit(
        server.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    )
    server.stop()
    found = whole_files(tmp_path)
    assert all(0 < file.stat().st_size <= most for file in found[:2])
    assert read_logs(*found)
