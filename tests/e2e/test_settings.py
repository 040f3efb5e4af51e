"""Settings whose effect can be seen from outside of a real server process."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from harness.predict import PredictionClient
from harness.server_process import START_SECONDS, ServerProcess, model_arguments, serve_command

Start = Callable[..., ServerProcess]

ONE_OF_EACH = ("--io-threads=1", "--runner-threads=1", "--intra-op-threads=1")
IMAGE = {"image": np.linspace(-1, 1, 2 * 64, dtype=np.float32).reshape(2, 8, 8, 1)}


def thread_count(start: Start, models: Path, *arguments: str) -> int:
    """How many threads a server has that has just answered its first request."""
    process = start(*arguments, *model_arguments({"conv": models / "conv"}), "--measure-budget=0")
    process.wait_serving()
    PredictionClient(process.channel()).predict("conv", IMAGE)
    count = len(list(Path(f"/proc/{process.pid}/task").iterdir()))
    process.stop()
    return count


def test_thread_counts(start: Start, models: Path, tmp_path: Path) -> None:
    fewest = thread_count(start, models, *ONE_OF_EACH, "--inter-op-threads=1")
    more = ("--io-threads=1", "--runner-threads=3", "--intra-op-threads=4", "--inter-op-threads=5")
    # TensorFlow starts no pool for one thread inside an op: the op's own thread does it.
    inside = thread_count(
        start, models, *ONE_OF_EACH[:2], "--intra-op-threads=2", "--inter-op-threads=1"
    )
    assert thread_count(start, models, *more) == inside + 2 + 2 + 4
    assert inside > fewest
    # The file says what the flags say, and a flag goes before it.
    file = tmp_path / "session.txt"
    file.write_text("intra_op_parallelism_threads: 4 inter_op_parallelism_threads: 9")
    both = (*more[:2], "--inter-op-threads=5", f"--session-config-file={file}")
    assert thread_count(start, models, *both) == inside + 2 + 2 + 4


def test_xla_compiles_and_answers_the_same(start: Start, models: Path, tmp_path: Path) -> None:
    oracle = tf.saved_model.load(str(models / "conv" / "1")).signatures["serving_default"]
    expected = {name: value.numpy() for name, value in oracle(**IMAGE).items()}
    for on in ("on", "off"):
        dump = tmp_path / on
        process = start(
            f"--xla={on}",
            *model_arguments({"conv": models / "conv"}),
            environment={"XLA_FLAGS": f"--xla_dump_to={dump}"},
        )
        process.wait_serving()
        outputs = PredictionClient(process.channel()).predict("conv", IMAGE)
        for name, value in outputs.items():
            np.testing.assert_allclose(value, expected[name], rtol=1e-5, atol=1e-6)
        # XLA writes down every cluster of ops that it compiles.
        compiled = list(dump.glob("module_*.cluster_*")) if dump.is_dir() else []
        assert bool(compiled) is (on == "on")
        process.stop()


def refused(*arguments: object) -> tuple[int, str]:
    """The status and the error of a server that does not start."""
    done = subprocess.run(
        serve_command([*map(str, arguments), "--port", "0"]),
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )
    (error,) = re.findall(r"^(?:e|E)rror: (.*)$", done.stderr, re.MULTILINE)
    return done.returncode, error


def test_bad_files_keep_it_from_starting(models: Path, tmp_path: Path) -> None:
    session, batching = tmp_path / "session.txt", tmp_path / "batching.txt"
    session.write_text("\nintra_op_threads: 1")
    status, error = refused(models / "mlp", "--session-config-file", session)
    assert status == 1
    assert error.startswith(f"{session}, line 2: ")
    assert 'no field named "intra_op_threads"' in error
    batching.write_text("max_batch_size { value: 8 }\nallowed_batch_sizes: 4")
    status, error = refused(models / "mlp", "--batching-parameters", f"mlp={batching}")
    assert status == 2
    assert "Last entry in allowed_batch_sizes must match max_batch_size; last entry" in error


def test_a_bad_batching_file_of_a_version_is_its_own(
    start: Start, models: Path, tmp_path: Path
) -> None:
    shutil.copytree(models / "half_plus_two", tmp_path / "bad")
    for version in (tmp_path / "bad").iterdir():
        (version / "batching_params.pbtxt").write_text("max_batch: 1")
    process = start(
        "--enable-per-model-batching-parameters",
        *model_arguments({"bad": tmp_path / "bad", "good": models / "half_plus_two"}),
    )
    process.wait_listening()
    line = process.wait_line("bad")
    assert "batching_params.pbtxt, line 1: " in line + process.stderr
    process.kill()
