"""Models whose ops come from a library of the user's own."""

import subprocess
import sys
from pathlib import Path

import grpc
import numpy as np
import pytest

from harness.predict import PredictionClient, refused
from harness.server_process import model_arguments

BUILD = Path(__file__).parents[1] / "models" / "custom_op" / "build.py"
X = {"x": np.array([1, 2], np.float32)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Has triple.so, and the model triple that needs it."""
    out = tmp_path_factory.mktemp("custom_op")
    done = subprocess.run(
        [sys.executable, str(BUILD), str(out)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return out


def test_with_its_library(folder: Path, start) -> None:
    process = start(str(folder / "triple"), "--op-library", str(folder / "triple.so"))
    client = PredictionClient(process.wait_serving().channel())
    assert client.predict("triple", X)["y"].tolist() == [3, 6]
    process.stop()


def test_without_its_library(folder: Path, models: Path, start) -> None:
    """That model alone fails, and the reason names the op."""
    served = {"triple": folder / "triple", "half_plus_two": models / "half_plus_two"}
    process = start(*model_arguments(served)).wait_serving("half_plus_two")
    client = PredictionClient(process.channel())
    text = "Servable not found for request: Latest(triple)"
    with refused(grpc.StatusCode.NOT_FOUND, text):
        client.predict("triple", X)
    client.is_well()
    process.stop()
    assert "TensorwireTestTriple" in process.stderr


def test_a_library_that_is_none(folder: Path, start, tmp_path: Path) -> None:
    fake = tmp_path / "ops.so"
    fake.write_text("not a library")
    process = start(str(folder / "triple"), "--op-library", str(fake))
    assert process.wait() == 1
    assert str(fake) in process.stderr.splitlines()[-1]
    process.assert_no_crash()
