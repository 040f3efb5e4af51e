"""Models that change while they serve: versions, labels, configurations, broken stores. In
each story clients call throughout, and none of them gets an error."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import model_management_pb2

from harness.predict import TIMEOUT_SECONDS, PredictionClient, predict_request, refused
from harness.server_process import ServerProcess
from harness.traffic import Traffic, half_plus_two
from harness.versions import Versions, available, until, until_available

QUICK = ("--poll-interval", "100ms", "--config-poll-interval", "100ms", "--measure-budget", "0")
X = {"x": np.array([2.0], np.float32)}

Story = Callable[..., tuple[ServerProcess, PredictionClient]]


@pytest.fixture
def serve(start) -> Story:
    def run(*arguments: object, wait: str = "") -> tuple[ServerProcess, PredictionClient]:
        process = start(*map(str, arguments), *QUICK).wait_serving(wait)
        return process, PredictionClient(process.channel())

    return run


@pytest.fixture
def versions(models: Path, tmp_path: Path) -> Versions:
    return Versions(models, tmp_path / "m")


def config_text(name: str, folder: Path, more: str = "") -> str:
    return (
        f'config {{ name: "{name}" base_path: "{folder}" model_platform: "tensorflow" {more} }}\n'
    )


def write_config(path: Path, *configs: str) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text("model_config_list {\n" + "".join(configs) + "}\n")
    partial.replace(path)


def labels_text(**labels: int) -> str:
    return " ".join(
        f'version_labels {{ key: "{label}" value: {version} }}'
        for label, version in labels.items()
    )


# Versions.


def test_versions_change_under_load(serve: Story, versions: Versions) -> None:
    """Not one failed request, whichever version answers."""
    versions.add(1)
    process, client = serve(versions.folder)
    channels = [process.channel() for _ in range(4)]
    with Traffic(channels, half_plus_two("m")) as traffic:
        for number in range(2, 12):
            versions.add(number)
            until_available(client, "m", number)
            versions.drop(number - 1)
    traffic.assert_flawless()
    process.stop()


def test_files_exchanged_inside_a_version(serve: Story, versions: Versions) -> None:
    versions.add(2)
    process, client = serve(versions.folder)
    with Traffic([process.channel()], lambda client: _answers(client, 3.0, 4.0)) as traffic:
        folder = versions.folder / "2"
        # As `rm` and `cp` do it: for a while there is half a model.
        for file in sorted(folder.rglob("*"), reverse=True):
            file.unlink() if file.is_file() else file.rmdir()
        shutil.copytree(versions.source(1), folder, dirs_exist_ok=True)
        until(lambda: client.predict("m", X)["y"] == np.float32(3))
        assert available(client, "m") == [2]
    traffic.assert_flawless()
    process.stop()


def _answers(client: PredictionClient, *right: float) -> str:
    answer = client.predict("m", X)["y"][0]
    return "" if answer in right else f"answered {answer}"


def test_a_version_that_is_uploaded_in_parts(serve: Story, models: Path, tmp_path: Path) -> None:
    """It is never looked into before it is whole, in whatever order its files come."""
    folder = tmp_path / "mlp"
    shutil.copytree(models / "mlp" / "1", folder / "1")
    process, client = serve(folder)
    source, target = models / "mlp" / "1", folder / "2"
    files = sorted(path for path in source.rglob("*") if path.is_file())
    for order in (files, files[::-1]):
        for file in order:
            place = target / file.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            content = file.read_bytes()
            for share in (3, 1):
                place.write_bytes(content[: len(content) // share])
        until_available(client, "mlp", 2)
        shutil.rmtree(target)
        until_available(client, "mlp", 1)
    process.stop()
    assert "can't be served" not in process.stderr


def test_a_version_that_is_broken_touches_nothing_and_is_taken_once_repaired(
    serve: Story, models: Path, versions: Versions
) -> None:
    versions.add(1)
    process, client = serve(versions.folder)
    with Traffic([process.channel()], half_plus_two("m")) as traffic:
        shutil.copytree(models / "corrupt" / "1", versions.folder / "2")
        until(lambda: "m version 2 can't be served" in process.stderr)
        assert available(client, "m") == [1]
        shutil.rmtree(versions.folder / "2")
        versions.add(2)
        until_available(client, "m", 2)
    traffic.assert_flawless()
    process.stop()


def test_a_folder_that_goes_and_comes_back(serve: Story, versions: Versions) -> None:
    versions.add(1)
    process, client = serve(versions.folder)
    away = versions.folder.with_name("away")
    with Traffic([process.channel()], half_plus_two("m")) as traffic:
        versions.folder.rename(away)
        until(lambda: "does not exist" in process.stderr)
        assert available(client, "m") == [1]
        away.rename(versions.folder)
        versions.add(2)
        until_available(client, "m", 2)
    traffic.assert_flawless()
    # Emptied on purpose.
    versions.drop(1, 2)
    until(lambda: available(client, "m") == [])
    with refused(grpc.StatusCode.NOT_FOUND, "Servable not found for request: Latest(m)"):
        client.predict("m", X)
    versions.add(3)
    until_available(client, "m", 3)
    process.stop()


def test_policies_and_resource_preserving(serve: Story, versions: Versions) -> None:
    versions.add(1, 2, 3)
    arguments = ("--versions", "2", "--version-transition", "resource")
    process, client = serve(versions.folder, *arguments)
    until_available(client, "m", 2, 3)
    versions.add(4)
    # The states turn a moment before they are told in the log.
    until(lambda: "model m version 4 loaded" in process.stderr)
    assert available(client, "m") == [3, 4]
    process.stop()
    lines = [line for line in process.stderr.splitlines() if '"model": "m"' in line]
    messages = [json.loads(line)["message"] for line in lines]
    unloaded = messages.index("model m version 2 unloaded")
    assert "model m version 4 loaded" in messages[unloaded + 1]


# Configuration files.


def test_a_configuration_file_is_followed(
    serve: Story, models: Path, versions: Versions, tmp_path: Path
) -> None:
    versions.add(1, 2)
    file = tmp_path / "models.config"
    two = "model_version_policy { all {} } " + labels_text(stable=1, canary=2)
    write_config(file, config_text("m", versions.folder, two))
    process, client = serve("--model-config-file", file)
    until_available(client, "m", 1, 2)
    stable = half_plus_two("m", label="stable")
    with (
        Traffic([process.channel()], half_plus_two("m")) as traffic,
        Traffic([process.channel()], stable) as labelled,
    ):
        # The label moves, and another model comes.
        versions.add(3)
        moved = "model_version_policy { all {} } " + labels_text(stable=3)
        add = config_text("add", models / "add")
        write_config(file, config_text("m", versions.folder, moved), add)
        until(lambda: _version(client, "stable") == 3)
        until_available(client, "add", 1)
        with refused(
            grpc.StatusCode.INVALID_ARGUMENT, "Unrecognized servable version label: canary"
        ):
            _version(client, "canary")
        # What is wrong changes nothing.
        for wrong, says in (
            ("config {", "line"),
            (config_text("m", versions.folder) * 2, "Illegal to list model m multiple times"),
            (config_text("m", Path("relative")), "to have an absolute path or URI"),
            (config_text("add", models / "add").replace("tensorflow", "caffe"), "platform caffe"),
        ):
            write_config(file, wrong)
            until(lambda says=says: says in process.stderr)
            assert available(client, "m") == [1, 2, 3]
        # Only the newest version, and the other model goes.
        write_config(file, config_text("m", versions.folder, labels_text(stable=3)))
        until_available(client, "m", 3)
        with refused(grpc.StatusCode.NOT_FOUND, "Servable not found for request: Latest(add)"):
            until(lambda: client.predict("add", {"a": X["x"], "b": X["x"]}) is None)
    traffic.assert_flawless()
    labelled.assert_flawless()
    process.stop()


def _version(client: PredictionClient, label: str) -> int:
    request = predict_request("m", X)
    request.model_spec.version_label = label
    return client.send(request).model_spec.version.value


def test_a_broken_configuration_file_at_the_start(start, tmp_path: Path) -> None:
    file = tmp_path / "models.config"
    write_config(file, config_text("m", Path("relative")))
    process = start("--model-config-file", str(file))
    assert process.wait() == 2
    assert f"{file}: Expected model m to have an absolute path or URI; got" in process.stderr


def test_an_empty_configuration_file_serves_nothing_yet(
    serve: Story, models: Path, start, tmp_path: Path
) -> None:
    file = tmp_path / "models.config"
    file.touch()
    process = start("--model-config-file", str(file), *QUICK).wait_listening()
    client = PredictionClient(process.channel())
    with refused(grpc.StatusCode.NOT_FOUND):
        client.predict("add", X)
    write_config(file, config_text("add", models / "add"), config_text("no", tmp_path / "no"))
    process.wait_serving("add")
    file.write_text("")
    process.wait_serving("add")
    process.stop()


# Changes by RPC and from the command line.


def reload_config(client: PredictionClient, *configs: tuple[str, Path, dict[str, int]]) -> None:
    request = model_management_pb2.ReloadConfigRequest()
    request.config.model_config_list.SetInParent()
    for name, path, labels in configs:
        config = request.config.model_config_list.config.add(
            name=name, base_path=str(path), model_platform="tensorflow"
        )
        config.version_labels.update(labels)
        config.model_version_policy.all.SetInParent()
    client.model.HandleReloadConfigRequest(request, timeout=TIMEOUT_SECONDS)


def test_the_reload_rpc(serve: Story, models: Path, versions: Versions, tmp_path: Path) -> None:
    versions.add(1)
    process, client = serve("--model", f"m={versions.folder}")
    with Traffic([process.channel()], half_plus_two("m")) as traffic:
        m = ("m", versions.folder, {})
        versions.add(2)
        # Answered when what is new is there, labels too.
        reload_config(client, ("m", versions.folder, {"s": 1}), ("add", models / "add", {"x": 1}))
        assert available(client, "add") == [1]
        assert _version(client, "s") == 1
        # A failure is told, and does not stand in the way of the next one.
        text = (
            "1 model(s) did not become available: {{name: no version: 1} due to error: "
            f"{tmp_path / 'no'} does not exist}}, }}"
        )
        for _ in range(2):
            with refused(grpc.StatusCode.UNKNOWN, text):
                reload_config(client, m, ("no", tmp_path / "no", {}))
            reload_config(client, m)
        with refused(
            grpc.StatusCode.FAILED_PRECONDITION,
            "Request to assign label to version 9 of model m, which is not currently available "
            "for inference",
        ):
            reload_config(client, ("m", versions.folder, {"s": 9}))
        with refused(
            grpc.StatusCode.INVALID_ARGUMENT,
            "Illegal to list model m multiple times in config list",
        ):
            reload_config(client, m, m)
    traffic.assert_flawless()
    reload_config(client)
    # What is left out goes meanwhile.
    with refused(grpc.StatusCode.NOT_FOUND, "Servable not found for request: Latest(m)"):
        until(lambda: client.predict("m", X) is None)
    process.stop()


def models_command(process: ServerProcess, command: str, *arguments: object) -> str:
    words = [command, process.address, *map(str, arguments)]
    done = subprocess.run(
        [sys.executable, "-m", "tensorwire", "models", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr
    if done.returncode != 0:
        raise AssertionError(done.stderr.strip())
    return done.stdout


def test_models_from_the_command_line(
    serve: Story, models: Path, versions: Versions, tmp_path: Path
) -> None:
    versions.add(1, 2)
    process, client = serve("--model", f"m={versions.folder}")
    with Traffic([process.channel()], half_plus_two("m")) as traffic:
        shown = models_command(
            process, "load", "m", versions.folder, "--versions", "all", "--label", "stable=1"
        )
        assert available(client, "m") == [1, 2]
        assert "stable" in shown and _version(client, "stable") == 1
        models_command(process, "load", "add", models / "add")
        listed = json.loads(models_command(process, "list", "--json"))["models"]
        assert [each["config"]["name"] for each in listed] == ["add", "m"]
        assert [each["state"] for each in listed[1]["versions"]] == ["AVAILABLE"] * 2
        config = tmp_path / "kept.config"
        config.write_text(models_command(process, "config"))
        models_command(process, "unload", "add")
        with refused(grpc.StatusCode.NOT_FOUND):
            client.predict("add", X)
        with pytest.raises(AssertionError, match=r"error: .*any versions of model add"):
            models_command(process, "unload", "add")
        with pytest.raises(AssertionError, match="does not exist"):
            models_command(process, "load", "no", tmp_path / "no")
        with pytest.raises(AssertionError, match="LABEL=VERSION"):
            models_command(process, "load", "m", versions.folder, "--label", "stable")
        models_command(process, "reload", "m")
    traffic.assert_flawless()
    process.stop()
    # What was read back can be given to another server.
    other, client = serve("--model-config-file", config, wait="add")
    other.wait_serving("m")
    until_available(client, "m", 1, 2)
    assert _version(client, "stable") == 1
    other.stop()


def test_remote_control_can_be_off(serve: Story, models: Path) -> None:
    process, client = serve(models / "add", "--remote-control", "off")
    with refused(grpc.StatusCode.PERMISSION_DENIED, None):
        reload_config(client)
    assert client.predict("add", {"a": X["x"], "b": X["x"]})["sum"] == np.float32(4)
    process.stop()
