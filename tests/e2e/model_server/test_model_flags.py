"""Flags about models: which, whence, in what batches, with which checks."""

import json
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf

from harness.examples import CLASSIFY, example
from harness.model_server import ModelServer, failed_start
from harness.predict import PredictionClient, predict_request, refused
from harness.queueing import batches, queue_up, until
from harness.records import predict_logs, write_logs
from harness.scrape import get

Serve = Callable[..., ModelServer]

INVALID = grpc.StatusCode.INVALID_ARGUMENT
X = {"x": np.float32([1, 2])}


def entry(name: str, path: Path, more: str = "") -> str:
    return f'config {{ name: "{name}" base_path: "{path}" model_platform: "tensorflow" {more} }}'


def config_file(file: Path, *entries: str) -> Path:
    """Written whole, as editors do."""
    partial = file.with_suffix(".new")
    partial.write_text(f"model_config_list {{ {' '.join(entries)} }}")
    partial.replace(file)
    return file


def states(server: ModelServer, model: str) -> Mapping[str, str]:
    """The versions of a model with their states, by REST."""
    answer = get(server.port, f"/v1/models/{model}")
    found = json.loads(answer.body).get("model_version_status", [])
    return {each["version"]: each["state"] for each in found}


def available(server: ModelServer, model: str) -> list[str]:
    found = states(server, model)
    return sorted(version for version, state in found.items() if state == "AVAILABLE")


def test_model_config_file_with_policies_and_labels(
    serve: Serve, models: Path, tmp_path: Path
) -> None:
    half = models / "half_plus_two"
    file = config_file(
        tmp_path / "models.config",
        entry("newest", half),
        entry("both", half, "model_version_policy { all {} }"),
        entry("two", half, "model_version_policy { latest { num_versions: 2 } }"),
        entry(
            "chosen",
            half,
            "model_version_policy { specific { versions: 1 versions: 2 } } "
            'version_labels { key: "stable" value: 1 } version_labels { key: "canary" value: 2 }',
        ),
        entry("old", half, "model_version_policy { specific { versions: 1 } }"),
    )
    # It goes before the flags for one model; its labels need no further flag.
    server = serve(f"--model_config_file={file}", f"--model_base_path={tmp_path}/none")
    server.wait_listening()
    # The ports open when each model has a version; the others of theirs follow.
    expected = {
        "newest": ["2"],
        "both": ["1", "2"],
        "two": ["1", "2"],
        "chosen": ["1", "2"],
        "old": ["1"],
    }
    until(
        lambda: {name: available(server, name) for name in expected},
        lambda found: found == expected,
    )
    client = PredictionClient(server.channel())
    for label, expected in (("stable", [2.5, 3.0]), ("canary", [3.5, 4.0])):
        request = predict_request("chosen", X)
        request.model_spec.version_label = label
        response = client.send(request)
        assert tf.make_ndarray(response.outputs["y"]).tolist() == expected
    request.model_spec.version_label = "none"
    with refused(INVALID, "Unrecognized servable version label: none"):
        client.send(request)
    server.stop()


@pytest.mark.parametrize("polled", [True, False])
def test_model_config_file_poll_wait_seconds(
    serve: Serve, models: Path, tmp_path: Path, polled: bool
) -> None:
    half = models / "half_plus_two"
    file = config_file(tmp_path / "models.config", entry("a", half))
    flags = ["--model_config_file_poll_wait_seconds=1"] if polled else []
    server = serve(f"--model_config_file={file}", *flags).wait_listening()
    config_file(file, entry("b", half))
    if polled:
        until(
            lambda: (available(server, "b"), available(server, "a")),
            lambda it: it[0] and not it[1],
        )
    else:
        time.sleep(2.5)
        assert (available(server, "b"), available(server, "a")) == ([], ["2"])
    server.stop()


@pytest.mark.parametrize("wait", [None, 0])
def test_file_system_poll_wait_seconds(
    serve: Serve, models: Path, tmp_path: Path, wait: int | None
) -> None:
    base = tmp_path / "m"
    shutil.copytree(models / "half_plus_two" / "1", base / "1")
    flags = [] if wait is None else [f"--file_system_poll_wait_seconds={wait}"]
    server = serve(f"--model_base_path={base}", *flags).wait_listening()
    shutil.copytree(models / "half_plus_two" / "2", tmp_path / "2")
    (tmp_path / "2").rename(base / "2")
    if wait is None:
        until(lambda: available(server, "default"), lambda found: found == ["2"])
    else:
        time.sleep(3)
        assert available(server, "default") == ["1"]
    server.stop()


def test_num_load_threads(serve: Serve, models: Path, tmp_path: Path) -> None:
    """One after the other takes the sum of their times, side by side it does not."""
    slow = models / "slow_load"
    entries = [entry(f"m{index}", slow) for index in range(3)]
    file = config_file(tmp_path / "models.config", *entries)

    def loading(threads: int) -> int:
        """The most versions that were loading at once."""
        server = serve(
            f"--model_config_file={file}",
            f"--num_load_threads={threads}",
            environment={"TENSORWIRE_LISTEN_WHEN": "first", "TENSORWIRE_MEASURE_BUDGET": "0"},
        ).wait_listening()
        most = 0
        while any("AVAILABLE" not in states(server, f"m{each}").values() for each in range(3)):
            now = [list(states(server, f"m{index}").values()) for index in range(3)]
            most = max(most, sum("LOADING" in each for each in now))
            time.sleep(0.01)
        server.stop()
        return most

    assert loading(1) == 1
    assert loading(3) > 1


def test_enable_batching(serve: Serve, models: Path, tmp_path: Path) -> None:
    base = f"--model_base_path={models / 'half_plus_two'}"
    rows = {"x": np.zeros(1001, np.float32)}
    server = serve(base, "--enable_batching").wait_listening()
    with refused(INVALID, "Task size 1001 is larger than maximum input batch size 1000"):
        PredictionClient(server.channel()).predict("default", rows)
    server.stop()
    file = tmp_path / "batching.txt"
    file.write_text("max_batch_size { value: 4 } batch_timeout_micros { value: 0 }")
    given = (base, "--enable_batching", f"--batching_parameters_file={file}")
    server = serve(*given).wait_listening()
    with refused(INVALID, "Task size 5 is larger than maximum input batch size 4"):
        PredictionClient(server.channel()).predict("default", {"x": np.zeros(5, np.float32)})
    server.stop()
    # Neither by default nor switched off is there such a limit.
    for flags in ([], ["--enable_batching=false"]):
        server = serve(base, *flags).wait_listening()
        assert len(PredictionClient(server.channel()).predict("default", rows)["y"]) == 1001
        server.stop()
    line = failed_start(base, f"--batching_parameters_file={file}")
    assert line == (
        "Failed to start server. Error: INVALID_ARGUMENT: "
        "server_options.batching_parameters_file is set without setting "
        "server_options.enable_batching to true."
    )


def test_platform_config_file(serve: Serve, models: Path, tmp_path: Path) -> None:
    """What it says of batching and warm-up counts, and the flags for the same do not."""
    version = tmp_path / "half" / "1"
    shutil.copytree(models / "half_plus_two" / "1", version)
    # A server that warms up refuses a version of which a record fails.
    failing = predict_logs([predict_request("default", X, signature="none")])
    write_logs(version / "assets.extra" / "tf_serving_warmup_requests", failing)
    file = tmp_path / "platform.config"
    kind = "tensorflow.serving.SavedModelBundleSourceAdapterConfig"
    file.write_text(
        'platform_configs { key: "tensorflow" value { source_adapter_config { '
        f"[type.googleapis.com/{kind}] {{ legacy_config {{ "
        "batching_parameters { max_batch_size { value: 4 } } } } } } }"
    )
    flags = (f"--platform_config_file={file}", "--enable_batching=false", "--enable_model_warmup")
    server = serve(f"--model_base_path={version.parent}", *flags).wait_listening()
    client = PredictionClient(server.channel())
    with refused(INVALID, "Task size 5 is larger than maximum input batch size 4"):
        client.predict("default", {"x": np.zeros(5, np.float32)})
    assert client.predict("default", X)["y"].tolist() == [2.5, 3.0]
    server.stop()


def ran(server: ModelServer) -> float:
    """How many batches four requests become that wait together."""
    client = PredictionClient(server.channel())
    request = predict_request("work", {"x": np.float32([[1, 2]]), "turns": np.int32([1])})
    client.send(request)
    before = batches(server, "work")
    for call in queue_up(server, client, [request] * 4):
        call.result()
    return (batches(server, "work") - before).batches


@pytest.mark.parametrize(("flag", "most"), [("--enable_batching=false", 4), ("", 1)])
def test_batching_switched_off(
    serve: Serve, models: Path, tmp_path: Path, flag: str, most: int
) -> None:
    file = config_file(
        tmp_path / "models.config",
        *(entry(name, models / name) for name in ("work", "sleep")),
    )
    environment = {"TENSORWIRE_RUNNER_THREADS": "1", "TENSORWIRE_MEASURE_BUDGET": "0"}
    flags = [flag] if flag else []
    server = serve(f"--model_config_file={file}", *flags, environment=environment)
    server.wait_listening()
    # The first batches of a model that was not measured run alone as well, to be compared.
    until(lambda: ran(server), lambda found: found == most)
    server.stop()


def test_enable_per_model_batching_parameters(serve: Serve, models: Path, tmp_path: Path) -> None:
    for name in ("small", "none"):
        shutil.copytree(models / "half_plus_two" / "1", tmp_path / name / "1")
    (tmp_path / "small" / "1" / "batching_params.pbtxt").write_text("max_batch_size { value: 2 }")
    file = config_file(
        tmp_path / "models.config", *(entry(name, tmp_path / name) for name in ("small", "none"))
    )
    flags = ("--enable_batching", "--enable_per_model_batching_parameters")
    server = serve(f"--model_config_file={file}", *flags).wait_listening()
    client = PredictionClient(server.channel())
    rows = {"x": np.zeros(1500, np.float32)}
    with refused(INVALID, "Task size 1500 is larger than maximum input batch size 2"):
        client.predict("small", rows)
    assert len(client.predict("none", rows)["y"]) == 1500
    server.stop()


def test_saved_model_tags(serve: Serve, tmp_path: Path, models: Path) -> None:
    version = tmp_path / "tagged" / "1"
    shutil.copytree(models / "half_plus_two" / "1", version)
    file = version / "saved_model.pb"
    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    model.meta_graphs[0].meta_info_def.tags[:] = ["serve", "gpu"]
    file.write_bytes(model.SerializeToString())
    base = f"--model_base_path={version.parent}"
    server = serve(base, "--saved_model_tags=gpu,serve").wait_listening()
    answer = PredictionClient(server.channel()).predict("default", X)
    assert answer["y"].tolist() == [2.5, 3.0]
    server.stop()
    line = failed_start(base, "--max_num_load_retries=0")
    assert "has no graph with the tag set {serve}; it has {serve, gpu}" in line


def test_a_model_for_tensorflow_lite_alone(serve: Serve, tmp_path: Path) -> None:
    version = tmp_path / "lite" / "1"
    version.mkdir(parents=True)
    (version / "model.tflite").write_bytes(b"TFL3")
    server = serve(f"--model_base_path={version.parent}", "--prefer_tflite_model")
    server.wait_log("has no saved_model.pb, but a TensorFlow Lite model, which is not served")
    server.stop()


@pytest.mark.parametrize("checked", [True, False])
def test_enable_signature_method_name_check(serve: Serve, models: Path, checked: bool) -> None:
    from tensorflow_serving.apis import classification_pb2

    flags = ["--enable_signature_method_name_check"] if checked else []
    server = serve(f"--model_base_path={models / 'examples'}", *flags).wait_listening()
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name = "default"
    # Its outputs are no classes, and it says that it is for Predict.
    request.model_spec.signature_name = "flat_scores"
    request.input.example_list.examples.append(example(x=[1.0, 2.0]))
    client = PredictionClient(server.channel())
    raises = refused(INVALID)
    with raises:
        client.prediction.Classify(request, timeout=30)
    text = f"Expected classification signature method_name to be {CLASSIFY}. Was: "
    assert raises.refusal.details.startswith(text) is checked
    server.stop()
