"""What a server measures when it loads a model, and what `tensorwire inspect` shows of it."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from harness.predict import PredictionClient, predict_request
from harness.records import predict_logs, write_logs
from harness.server_process import ServerProcess, model_arguments
from harness.terminal import in_pipe, on_terminal, plain
from harness.traffic import Traffic, half_plus_two
from harness.versions import available, until


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


def test_of_many_models_all_serve_before_one_is_measured(start, models: Path) -> None:
    count = 12
    process = start(*model_arguments({f"m{index}": models / "mlp" for index in range(count)}))
    process.wait_serving()
    until(lambda: process.stderr.count("measured in") == count)
    process.stop()
    lines = process.stderr.splitlines()
    loaded = [index for index, line in enumerate(lines) if " loaded in " in line]
    measured = [index for index, line in enumerate(lines) if "measured in" in line]
    assert len(loaded) == count
    assert max(loaded) < min(measured)


def _slow(folder: Path, models: Path, version: int) -> Path:
    """A model whose recorded requests take some milliseconds each."""
    partial = folder.parent / f"{folder.name}-{version}"
    shutil.copytree(models / "work" / "1", partial)
    inputs = {"x": np.ones((4, 4), np.float32), "turns": np.full(4, 500, np.int32)}
    write_logs(
        partial / "assets.extra" / "tf_serving_warmup_requests",
        predict_logs([predict_request("slow", inputs)]),
    )
    folder.mkdir(exist_ok=True)
    return partial.rename(folder / str(version))


def test_nothing_is_run_for_long_while_others_answer(start, models: Path, tmp_path: Path) -> None:
    folder = tmp_path / "slow"
    _slow(folder, models, 1)
    process = start(
        *model_arguments({"slow": folder, "quick": models / "half_plus_two"}),
        *("--measure-cache", "off", "--poll-interval", "100ms", "--remote-control", "on"),
    ).wait_serving()
    client = PredictionClient(process.channel())
    until(lambda: process.stderr.count("measured in") == 2)
    (known,) = (line for line in process.stderr.splitlines() if "slow version 1 measured" in line)
    decision = known.partition("serving_default")[2]
    assert "not measured" not in decision
    with Traffic([process.channel()], half_plus_two("quick")) as traffic:
        # What was measured of the version before it is the best that is known of this one.
        _slow(folder, models, 2)
        until(lambda: available(client, "slow") == [2])
        # And of this one nothing is.
        _slow(tmp_path / "other", models, 1)
        done = in_pipe("models", "load", process.address, "other", str(tmp_path / "other"))
        assert done.code == 0, done.err
    traffic.assert_flawless()
    process.stop()
    lines = process.stderr.splitlines()
    (later,) = (line for line in lines if "slow version 2 measured" in line)
    assert later.partition("serving_default")[2] == decision
    (other,) = (line for line in lines if "other version 1 measured" in line)
    assert "not measured (a run of it takes more than 1ms, and other models" in other
