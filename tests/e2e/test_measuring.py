"""What a server measures when it loads a model, and what `tensorwire inspect` shows of it."""

import json
import re
import shutil
from pathlib import Path

import pytest

from harness.server_process import ServerProcess
from harness.terminal import in_pipe, on_terminal, plain


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing was measured before."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("TENSORWIRE_MEASURE_CACHE", str(folder))
    return folder


def costs(path: Path, *arguments: str) -> dict[str, dict]:
    done = in_pipe("inspect", str(path), "--json", *arguments)
    assert done.code == 0, done.err
    (model,) = json.loads(done.out)["models"].values()
    return model["costs"]


def test_a_network_has_a_curve(models: Path) -> None:
    cost = costs(models / "mlp")["serving_default"]
    assert (cost["alone"], cost["unmeasured"], cost["row_bytes"]) == (None, None, 128)
    points = cost["points"]
    assert [point["rows"] for point in points] == [2**step for step in range(len(points))]
    assert len(points) >= 6
    rates = [point["rows_per_second"] for point in points]
    assert rates[5] > 3 * rates[0]
    assert cost["decision"]["inline_rows"] >= 1
    assert cost["decision"]["batch_rows"] > 1


def test_what_keeps_state_runs_alone_and_is_left_as_it_was(models: Path) -> None:
    cost = costs(models / "counter")
    assert "AssignAddVariableOp" in cost["serving_default"]["alone"]
    assert cost["serving_default"]["points"] == []
    assert "changes" in cost["serving_default"]["unmeasured"]
    assert cost["read"]["alone"] == "it has no inputs"


def test_nothing_is_measured_unasked(models: Path, cache: Path) -> None:
    assert costs(models / "mlp", "--no-measure") is None
    assert not cache.exists()


def test_a_table_and_a_chart(models: Path) -> None:
    shown = on_terminal("inspect", str(models / "mlp"))
    assert shown.code == 0
    text = plain(shown.out)
    assert re.search(r"inline up to \d+ rows", text), text
    assert "rows/s" in text and "\u2588" in text
    piped = in_pipe("inspect", str(models / "mlp")).out
    assert "rows/s" in piped and "\u2588" not in piped


def test_a_server_tells_nobody_what_it_measured(server: ServerProcess) -> None:
    done = in_pipe("inspect", server.address, "mlp", "--json")
    assert json.loads(done.out)["models"]["mlp"]["costs"] is None


def test_a_restart_measures_nothing(start, models: Path, cache: Path) -> None:
    first = start(str(models / "mlp")).wait_serving()
    first.stop()
    # Once it has ended: the core's lines take their time.
    line = next(line for line in first.stderr.splitlines() if "measured in" in line)
    assert "serving_default inline up to" in line
    (file,) = cache.iterdir()
    written = file.stat().st_mtime_ns
    second = start(str(models / "mlp")).wait_serving()
    second.stop()
    assert "measured in" not in second.stderr
    assert "measured at an earlier start" in second.stderr
    assert file.stat().st_mtime_ns == written


def test_a_spoilt_cache_is_told_and_written_anew(start, models: Path, cache: Path) -> None:
    before = costs(models / "mlp")
    (file,) = cache.iterdir()
    file.write_text("{")
    process = start(str(models / "mlp")).wait_serving()
    process.stop()
    assert process.stderr.count("are ignored") == 1
    assert "measured in" in process.stderr
    assert json.loads(file.read_text())["signatures"][0]["name"] in before


def test_another_model_is_measured_itself(models: Path, cache: Path, tmp_path: Path) -> None:
    copy = tmp_path / "renamed"
    shutil.copytree(models / "mlp", copy)
    costs(models / "mlp")
    costs(copy)
    assert len(list(cache.iterdir())) == 1
    graph = copy / "1" / "saved_model.pb"
    shutil.copy(models / "conv" / "1" / "saved_model.pb", graph)
    shutil.rmtree(copy / "1" / "variables")
    shutil.copytree(models / "conv" / "1" / "variables", copy / "1" / "variables")
    costs(copy)
    assert len(list(cache.iterdir())) == 2


def test_recorded_requests_are_measured_with(models: Path, tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    from tensorflow_serving.apis import prediction_log_pb2

    folder = tmp_path / "recorded"
    shutil.copytree(models / "shout", folder)
    log = prediction_log_pb2.PredictionLog()
    request = log.predict_log.request
    request.model_spec.signature_name = "serving_default"
    request.inputs["text"].CopyFrom(tf.make_tensor_proto(["x" * 1000, "y" * 3000]))
    extra = folder / "1" / "assets.extra"
    extra.mkdir()
    with tf.io.TFRecordWriter(str(extra / "tf_serving_warmup_requests")) as writer:
        # Another kind and another signature before it.
        writer.write(prediction_log_pb2.PredictionLog(classify_log={}).SerializeToString())
        other = prediction_log_pb2.PredictionLog()
        other.predict_log.request.model_spec.signature_name = "absent"
        writer.write(other.SerializeToString())
        writer.write(log.SerializeToString())
    cost = costs(folder)["serving_default"]
    assert 2000 <= cost["row_bytes"] <= 2100
    assert cost["alone"] is None and len(cost["points"]) >= 3
    (extra / "tf_serving_warmup_requests").write_bytes(b"no records at all")
    done = in_pipe("inspect", str(folder), "--json")
    assert done.code == 0
    assert costs(folder)["serving_default"]["row_bytes"] < 100
