"""What `tensorwire.toml` says of a single model changes while clients call; and what
`--print-config` prints is such a file."""

from collections.abc import Callable
from pathlib import Path

import grpc
import numpy as np

from harness.predict import PredictionClient, predict_request
from harness.server_process import ServerProcess
from harness.terminal import in_pipe
from harness.traffic import Traffic, half_plus_two
from harness.versions import Versions, until, until_available

Start = Callable[..., ServerProcess]

SERVER = """
[server]
poll_interval = "100ms"
config_poll_interval = "100ms"
measure_budget = 0
"""


def write(file: Path, models: str) -> None:
    """Put in place whole, as careful operators do."""
    partial = file.with_suffix(".partial")
    partial.write_text(SERVER + models)
    partial.replace(file)


def labelled(client: PredictionClient, label: str) -> int:
    """The version that answers for a label; 0: there is no such label."""
    request = predict_request("m", {"x": np.float32([2])})
    request.model_spec.version_label = label
    try:
        return client.send(request).model_spec.version.value
    except grpc.RpcError as error:
        assert "Unrecognized servable version label" in error.details(), error
        return 0


def is_limited_to(client: PredictionClient, rows: int) -> bool:
    text = f"Task size {rows + 1} is larger than maximum input batch size {rows}"
    try:
        client.predict("m", {"x": np.zeros(rows + 1, np.float32)})
    except grpc.RpcError as error:
        return error.details() == text
    return False


def test_labels_versions_and_batching_change_under_load(
    models: Path, start: Start, tmp_path: Path
) -> None:
    Versions(models, tmp_path / "m").add(1, 2, 3)
    file = tmp_path / "tensorwire.toml"
    m = '[models.m]\npath = "./m"\nversions = "all"\n'
    write(file, m + "labels = { stable = 1 }\n")
    process = start("--config", str(file)).wait_serving()
    client = PredictionClient(process.channel())
    until_available(client, "m", 1, 2, 3)
    with (
        Traffic([process.channel()], half_plus_two("m")) as traffic,
        Traffic([process.channel()], half_plus_two("m", label="stable")) as stable,
    ):
        write(file, m + "labels = { stable = 2, new = 3 }\nbatching = false\n")
        until(lambda: (labelled(client, "stable"), labelled(client, "new")) == (2, 3))
        write(file, m + "labels = { stable = 2 }\nbatching = { max_batch_size = 4 }\n")
        until(lambda: is_limited_to(client, 4) and not labelled(client, "new"))
        write(file, m.replace('"all"', "[2, 3]") + "labels = { stable = 2 }\n")
        until_available(client, "m", 2, 3)
        until(lambda: not is_limited_to(client, 4))
    traffic.assert_flawless()
    stable.assert_flawless()
    process.stop()


def test_what_print_config_prints_says_the_same(
    models: Path, start: Start, tmp_path: Path
) -> None:
    asked = ("--grace", "7s", "--versions", "2", "--max-batch-size", "8")
    printed = in_pipe(
        "serve", "--model", f"m={models / 'half_plus_two'}", *asked, "--print-config"
    )
    assert (printed.code, printed.err) == (0, "")
    file = tmp_path / "tensorwire.toml"
    file.write_text(printed.out)
    assert in_pipe("serve", "--config", str(file), "--print-config").out == printed.out
    # And it is served so.
    process = start("--config", str(file)).wait_serving()
    client = PredictionClient(process.channel())
    until_available(client, "m", 1, 2)
    assert is_limited_to(client, 8)
    process.stop()
