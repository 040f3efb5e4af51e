"""Flags about TensorFlow's session, and about what is run and told beside requests."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from harness.model_server import ModelServer, failed_start, free_port
from harness.predict import PredictionClient
from harness.scrape import get

Serve = Callable[..., ModelServer]

IMAGE = {"image": np.linspace(-1, 1, 2 * 64, dtype=np.float32).reshape(2, 8, 8, 1)}
FEW = {
    "TENSORWIRE_IO_THREADS": "1",
    "TENSORWIRE_RUNNER_THREADS": "1",
    "TENSORWIRE_MEASURE_BUDGET": "0",
}


def threads(serve: Serve, models: Path, *flags: str) -> int:
    """How many threads a server has that has just answered a request."""
    server = serve(f"--model_base_path={models / 'conv'}", *flags, environment=FEW)
    PredictionClient(server.wait_listening().channel()).predict("default", IMAGE)
    count = len(list(Path(f"/proc/{server.pid}/task").iterdir()))
    server.stop()
    return count


def test_parallelism(serve: Serve, models: Path, tmp_path: Path) -> None:
    two = threads(serve, models, "--tensorflow_session_parallelism=2")
    assert threads(serve, models, "--tensorflow_session_parallelism=4") == two + 4
    inside = ("--tensorflow_intra_op_parallelism=4", "--tensorflow_session_parallelism=2")
    assert threads(serve, models, *inside) == two + 2
    between = ("--tensorflow_inter_op_parallelism=5", "--tensorflow_session_parallelism=2")
    assert threads(serve, models, *between) == two + 3
    file = tmp_path / "session.txt"
    file.write_text("intra_op_parallelism_threads: 4 inter_op_parallelism_threads: 2")
    assert threads(serve, models, f"--tensorflow_session_config_file={file}") == two + 2


def test_three_kinds_of_parallelism_are_too_many() -> None:
    line = failed_start(
        "--model_base_path=/x",
        *(f"--tensorflow_{each}_parallelism=1" for each in ("session", "intra_op", "inter_op")),
    )
    assert line.startswith("Failed to start server. Error: INVALID_ARGUMENT: ")


@pytest.mark.parametrize(
    ("flag", "compiles"),
    [
        ("--xla_cpu_compilation_enabled", True),
        # This machine has none of the GPUs that it would compile for.
        ("--xla_gpu_compilation_enabled", False),
    ],
)
def test_xla(serve: Serve, models: Path, tmp_path: Path, flag: str, compiles: bool) -> None:
    dump = tmp_path / "dump"
    server = serve(
        f"--model_base_path={models / 'conv'}",
        flag,
        environment={"XLA_FLAGS": f"--xla_dump_to={dump}"},
    )
    PredictionClient(server.wait_listening().channel()).predict("default", IMAGE)
    server.stop()
    # XLA writes down every cluster of ops that it compiles.
    found = list(dump.glob("module_*.cluster_*")) if dump.is_dir() else []
    assert bool(found) is compiles


def test_mixed_precision_and_a_gpus_memory_leave_a_cpu_as_it_is(
    serve: Serve, models: Path
) -> None:
    """What they become in the session's configuration is tested beside its other settings."""
    flags = ("--mixed_precision=bfloat16", "--per_process_gpu_memory_fraction=0.5")
    server = serve(f"--model_base_path={models / 'mlp'}", *flags).wait_listening()
    outputs = PredictionClient(server.channel()).predict(
        "default", {"x": np.zeros((1, 32), np.float32)}
    )
    assert np.isfinite(next(iter(outputs.values()))).all()
    server.stop()


def test_monitoring_config_file(serve: Serve, half: str, tmp_path: Path) -> None:
    file, rest = tmp_path / "monitoring.config", free_port()
    file.write_text('prometheus_config { enable: true path: "/my/metrics" }')
    flags = (half, f"--rest_api_port={rest}", f"--monitoring_config_file={file}")
    server = serve(*flags).wait_listening()
    client = PredictionClient(server.channel())
    client.predict("default", {"x": np.float32([1])})
    answer = get(rest, "/my/metrics")
    assert (answer.status, answer.headers["Content-Type"].split(";")[0]) == (200, "text/plain")
    # Prometheus's own parser takes the names for what they are.
    families = {family.name for family in text_string_to_metric_families(answer.body.decode())}
    assert ":tensorflow:serving:request_count" in families
    counted = re.search(
        rb':tensorflow:serving:request_count\{model_name="default",status="OK"\} (\d+)',
        answer.body,
    )
    assert counted is not None
    assert int(counted[1]) == 1
    assert get(rest, "/monitoring/prometheus/metrics").status == 404
    server.stop()
