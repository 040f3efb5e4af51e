import os
import subprocess
import sys
from pathlib import Path

import pytest

from tensorwire.errors import ModelLoadError
from tensorwire.repository import keras_export
from tensorwire.repository.keras_export import KerasExporter, cache_directory

# What stands in for the exporting process: it reads the model file to see what to do.
STAND_IN = """
import json, pathlib, sys
source, target = map(pathlib.Path, sys.argv[1:])
order = source.read_text()
print("chatter")
if order.startswith("good"):
    target.mkdir()
    (target / "saved_model.pb").touch()
    print(json.dumps({"error": None}))
elif order.startswith("bad"):
    print(json.dumps({"error": "no config"}))
    sys.exit(1)
elif order.startswith("hang"):
    import time
    time.sleep(60)
else:
    sys.exit(3)
"""


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that were run, with the stand-in in place of Keras."""
    commands: list[list[str]] = []
    real = subprocess.Popen

    def popen(command: list[str], **options: object) -> subprocess.Popen[str]:
        commands.append(command)
        return real([sys.executable, "-c", STAND_IN, *command[3:]], **options)

    monkeypatch.setattr(keras_export.subprocess, "Popen", popen)
    return commands


def model(folder: Path, order: str) -> Path:
    path = folder / "net.keras"
    path.write_text(order)
    return path


def test_the_cache_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_directory() == tmp_path / "tensorwire"
    monkeypatch.setenv("HOME", str(tmp_path))
    for unusable in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", unusable)
        assert cache_directory() == tmp_path / ".cache" / "tensorwire"


def test_a_file_is_exported_once(tmp_path: Path, runs: list[list[str]]) -> None:
    exporter = KerasExporter("2.21.0", tmp_path / "cache")
    path = model(tmp_path, "good")
    first = exporter.export(path)
    assert (first / "saved_model.pb").is_file()
    assert exporter.export(path) == first
    assert len(runs) == 1

    # Other content, another TensorFlow: another export.
    assert KerasExporter("2.20.0", tmp_path / "cache").export(path) != first
    assert exporter.export(model(tmp_path, "good 2")) != first
    assert len(runs) == 3
    left = [each.name for each in (tmp_path / "cache" / "keras").iterdir()]
    assert not [name for name in left if name.startswith(".")]


KERAS = """
import os, pathlib, types

class Model:
    def export(self, target, **_options):
        pathlib.Path(target).mkdir()
        (pathlib.Path(target) / "nice").write_text(str(os.nice(0)))

saving = types.SimpleNamespace(load_model=lambda path, compile: Model())
"""


@pytest.mark.parametrize("beside", [True, False])
def test_an_export_stands_back_for_those_that_serve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beside: bool
) -> None:
    (tmp_path / "keras.py").write_text(KERAS)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    exporter = KerasExporter("2.21.0", tmp_path / "cache", others_serve=lambda: beside)
    made = exporter.export(model(tmp_path, "good"))
    assert int((made / "nice").read_text()) == (19 if beside else os.nice(0))


@pytest.mark.parametrize(
    ("order", "reason"),
    [("bad", "no config"), ("die", "the exporting process ended with status 3")],
)
def test_a_failed_export_leaves_nothing(
    tmp_path: Path, runs: list[list[str]], order: str, reason: str
) -> None:
    path = model(tmp_path, order)
    with pytest.raises(ModelLoadError) as caught:
        KerasExporter("2.21.0", tmp_path / "cache").export(path)
    assert str(caught.value) == f"{path} can't be exported: {reason}"
    assert list((tmp_path / "cache" / "keras").iterdir()) == []


def test_a_cache_that_cannot_be_written(tmp_path: Path, runs: list[list[str]]) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(ModelLoadError, match=r"net.keras can't be exported"):
        KerasExporter("2.21.0", tmp_path / "cache").export(model(tmp_path, "good"))


def test_cancel_ends_an_export_and_refuses_more(tmp_path: Path, runs: list[list[str]]) -> None:
    import threading

    exporter = KerasExporter("2.21.0", tmp_path / "cache")
    path = model(tmp_path, "hang")
    refused: list[str] = []

    def export() -> None:
        with pytest.raises(ModelLoadError) as caught:
            exporter.export(path)
        refused.append(str(caught.value))

    thread = threading.Thread(target=export)
    thread.start()
    wait = threading.Event()
    for _ in range(3000):
        if exporter._running:
            break
        wait.wait(0.01)
    exporter.cancel()
    thread.join(30)
    export()
    assert refused == [f"{path} can't be exported: the server is stopping"] * 2
